"""`python -m server_app`: the same as the command `shadowland-server`."""
from server_app.cli import main

if __name__ == "__main__":
    main()
