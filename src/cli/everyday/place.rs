//! A place as an argument: `WING/ROOM`, or `WING`.

use std::str::FromStr;

/// A wing, and perhaps a room in it. Their names are checked where they are used.
#[derive(Clone, Debug)]
pub(super) struct PlaceArgument {
    pub wing: String,
    pub room: Option<String>,
}

/// A room of a wing.
#[derive(Clone, Debug)]
pub(super) struct RoomArgument {
    pub wing: String,
    pub room: String,
}

impl FromStr for PlaceArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('/') {
            Some((wing, room)) if !room.is_empty() => {
                PlaceArgument { wing: wing.to_owned(), room: Some(room.to_owned()) }
            }
            Some((wing, _)) => PlaceArgument { wing: wing.to_owned(), room: None },
            None => PlaceArgument { wing: text.to_owned(), room: None },
        })
    }
}

impl FromStr for RoomArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (wing, room) = text
            .split_once('/')
            .ok_or("write the wing, a slash and the room, as in atlas/decisions")?;
        Ok(RoomArgument { wing: wing.to_owned(), room: room.to_owned() })
    }
}
