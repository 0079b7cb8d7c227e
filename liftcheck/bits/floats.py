HELPERS: dict[str, object] = {}
