"""Every known attack on an HTTP client as a test that bears the number of its row; `catalogue` says which rows there are."""
