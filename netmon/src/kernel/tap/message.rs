//! What the daemon asks of the process that makes TAPs, in [`REQUEST`] bytes. Pure: no length, no number and
//! no name is believed. The answer is an errno, and for a new TAP its descriptor.

/// Bytes of an interface's name, with the zero at its end (IFNAMSIZ).
const NAME: usize = 16;

/// Bytes of a request: what, multi-queue, two zeros, owner, name.
pub(super) const REQUEST: usize = 8 + NAME;

const MAKE: u8 = 1;
const SET_UP: u8 = 2;
const REMOVE: u8 = 3;

/// The name of a TAP to be made or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapName([u8; NAME]);

/// No TAP can be made with this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?}: no name for a TAP of netmon's (1 to 15 bytes, and no '%', which the kernel would replace by a number)"
)]
pub struct NoName(String);

impl TapName {
    /// Reads a name. All else that is wrong with it, the kernel says (`dev_valid_name`).
    ///
    /// # Errors
    ///
    /// It has too many bytes or none, or a `%`.
    pub fn new(name: &str) -> Result<Self, NoName> {
        let mut bytes = [0; NAME];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        let read = Self::read(bytes).filter(|_| name.len() < NAME);
        read.ok_or_else(|| NoName(name.to_owned()))
    }

    /// Its bytes and then zeros, of which there is one at least.
    pub(super) const fn bytes(self) -> [u8; NAME] {
        self.0
    }

    fn read(bytes: [u8; NAME]) -> Option<Self> {
        let length = bytes.iter().position(|byte| *byte == 0)?;
        let (name, end) = bytes.split_at_checked(length)?;
        let is_name = length > 0 && !name.contains(&b'%') && end.iter().all(|byte| *byte == 0);
        is_name.then_some(Self(bytes))
    }
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Make a TAP that the user `owner` may open.
    Make { name: TapName, owner: u32, multi_queue: bool },
    /// Set it up.
    SetUp(TapName),
    /// Remove it.
    Remove(TapName),
}

impl Request {
    pub(super) fn encode(self) -> [u8; REQUEST] {
        let (what, name, owner, multi_queue) = match self {
            Self::Make { name, owner, multi_queue } => (MAKE, name, owner, multi_queue),
            Self::SetUp(name) => (SET_UP, name, 0, false),
            Self::Remove(name) => (REMOVE, name, 0, false),
        };
        let mut message = [0; REQUEST];
        let [o1, o2, o3, o4] = owner.to_ne_bytes();
        let head = [what, u8::from(multi_queue), 0, 0, o1, o2, o3, o4];
        for (to, from) in message.iter_mut().zip(head.into_iter().chain(name.bytes())) {
            *to = from;
        }
        message
    }

    /// `None`: no request of ours.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let (head, name) = message.split_first_chunk::<8>()?;
        let name = TapName::read(name.try_into().ok()?)?;
        let [what, multi_queue, 0, 0, o1, o2, o3, o4] = *head else { return None };
        let owner = u32::from_ne_bytes([o1, o2, o3, o4]);
        match (what, multi_queue, owner) {
            (MAKE, 0 | 1, owner) => Some(Self::Make { name, owner, multi_queue: multi_queue == 1 }),
            (SET_UP, 0, 0) => Some(Self::SetUp(name)),
            (REMOVE, 0, 0) => Some(Self::Remove(name)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test that panics has failed"
    )]

    use super::*;

    #[test]
    fn what_is_asked_is_what_is_read() {
        let name = TapName::new("vm-1").expect("a name");
        for request in [
            Request::Make { name, owner: 0, multi_queue: false },
            Request::Make { name, owner: u32::MAX, multi_queue: true },
            Request::SetUp(name),
            Request::Remove(name),
        ] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn names_are_those_that_the_kernel_leaves_as_they_are() {
        for (name, is_one) in [
            ("a", true),
            ("fifteen_bytes_x", true),
            ("", false),
            ("sixteen_bytes_xx", false),
            ("much_longer_than_sixteen_bytes", false),
            ("tap%d", false),
            ("a\0b", false),
        ] {
            assert_eq!(TapName::new(name).is_ok(), is_one, "{name:?}");
        }
    }

    /// Each byte in turn is each number: what is still read is what would have been written.
    #[test]
    fn nothing_is_read_that_could_not_have_been_asked() {
        let name = TapName::new("vm-1").expect("a name");
        for request in [
            Request::Make { name, owner: 7, multi_queue: true },
            Request::SetUp(name),
            Request::Remove(name),
        ] {
            let message = request.encode();
            for (at, byte) in (0..REQUEST).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte)))
            {
                let mut other = message;
                other[at] = byte;
                if let Some(read) = Request::decode(&other) {
                    assert_eq!(read.encode(), other, "byte {at} is {byte}");
                }
            }
            for length in 0..REQUEST {
                assert_eq!(Request::decode(&message[..length]), None, "{length} bytes");
            }
            assert_eq!(Request::decode(&[message.as_slice(), &[0]].concat()), None, "too long");
        }
    }
}
