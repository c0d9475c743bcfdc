def read_upgrade(
    data: bytes, most: int, most_fields: int, /
) -> (
    tuple[
        int,
        str,
        bytes,
        bytes | None,
        bytes | None,
        bytes | None,
        bytes | None,
        bytes | None,
        bytes | None,
    ]
    | None
): ...
