"""Where the host starts: the server on stdio."""

from audience_mcp.__main__ import main

if __name__ == "__main__":
    main()
