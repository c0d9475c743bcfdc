"""Publish the lines of the standard input to a topic of the hub, by POST with a token.

    python publish.py http://127.0.0.1:8080/dashboard publishers

The second argument is a file, with the token as its first word. A line that the server did not
accept is lost, and the next line is published.
"""

import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 10  # seconds


def publish(url, token, message):
    """Publish a text message. Return the status of the response, and its text."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    fields = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain; charset=utf-8"}
    with closing(kind(parts.netloc, timeout=TIMEOUT)) as connection:
        connection.request("POST", parts.path or "/", message.encode(), fields)
        response = connection.getresponse()
        return response.status, response.read().decode().strip()


def token_of(file):
    """Return the first word of a file. Exit with status 1 if the file is empty."""
    try:
        words = Path(file).read_text(encoding="utf-8").split()
    except (OSError, UnicodeError) as error:
        sys.exit(f"the file of the token cannot be read: {error}")
    return words[0] if words else sys.exit(f"the file of the token is empty: {file}")


def main(url, file):
    """Publish all lines. Return the status with which the program exits."""
    token = token_of(file)
    failed = 0
    for line in sys.stdin:
        try:
            status, text = publish(url, token, line.rstrip("\n"))
        except (OSError, HTTPException) as error:
            failed = 1
            print(f"{url} was not reached: {error}", file=sys.stderr)
            continue
        if status != 200:
            failed = 1
            print(f"{url} refused a message with status {status}: {text}", file=sys.stderr)
            if status in {401, 404, 405}:  # the next message would be refused too
                break
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else __doc__)
