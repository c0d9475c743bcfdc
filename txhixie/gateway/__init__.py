"""What stands between one client and one backend, whatever the backend is: its services' parts."""
