"""The hub: members of a topic get each message that another member or a publisher sends to it."""
