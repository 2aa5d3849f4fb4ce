//! Rooms to groups: people name rooms as they like, groups have few characters.

use towpath::prelude::*;

/// The group of a room: letters, digits, `-` and `_` stand for themselves,
/// every other byte for a dot and two hex digits, so that no two rooms share a
/// group.
pub(crate) fn group(kind: &str, room: &str) -> Result<GroupName> {
    let mut name = format!("{kind}.");
    for byte in room.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!(".{byte:02x}")),
        }
    }
    GroupName::new(&name).map_err(|_| Error::deny(400, "the name of the room is too long\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_a_group_of_its_own() {
        for (room, group_name) in [
            ("lock", "chat.lock"),
            ("Schleuse 3", "chat.Schleuse.203"),
            ("a.b", "chat.a.2eb"),
            ("a/b", "chat.a.2fb"),
            ("ü", "chat..c3.bc"),
        ] {
            assert_eq!(group("chat", room).unwrap().as_str(), group_name);
        }
    }

    #[test]
    fn a_room_whose_name_is_too_long_is_denied() {
        group("chat", &"x".repeat(94)).unwrap();
        let error = group("chat", &"x".repeat(95)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}
