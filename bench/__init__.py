"""Speed of the server beside other servers."""
