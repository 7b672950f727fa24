"""What a user would pick instead, written as its documentation teaches it."""
