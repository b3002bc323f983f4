"""The examples are tested as a user would use them."""
