"""`liftcheck verify --rules`: instances of the compiler's rules, made, traced, and proven one by one."""
