"""x86-64's rows: how they are encoded (`encoding`); the rows themselves are to come."""
