//! Takes fields off the front of a message; every length is checked against what is there before it is used.
//!
//! It never allocates more than the message itself could fill, and never panics: what does not fit is
//! [`Malformed`] with the name of the part.

use bytes::{Buf as _, Bytes};

use super::Malformed;

/// What is left of a message.
pub(super) struct Reader {
    left: Bytes,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { left: bytes }
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.left.try_get_u8().map_err(|_| Malformed { what })
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.left.try_get_u16().map_err(|_| Malformed { what })
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.left.try_get_u32().map_err(|_| Malformed { what })
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.left.try_get_u64().map_err(|_| Malformed { what })
    }

    pub(super) fn u128(&mut self, what: &'static str) -> Result<u128, Malformed> {
        self.left.try_get_u128().map_err(|_| Malformed { what })
    }

    /// Strict: 0 or 1, so that every message has one spelling.
    pub(super) fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed { what }),
        }
    }

    /// The next bytes, shared with the message.
    pub(super) fn take(&mut self, length: usize, what: &'static str) -> Result<Bytes, Malformed> {
        if length > self.left.len() {
            return Err(Malformed { what });
        }
        Ok(self.left.split_to(length))
    }

    pub(super) fn u8_bytes(&mut self, what: &'static str) -> Result<Bytes, Malformed> {
        let length = self.u8(what)?;
        self.take(usize::from(length), what)
    }

    pub(super) fn u16_bytes(&mut self, what: &'static str) -> Result<Bytes, Malformed> {
        let length = self.u16(what)?;
        self.take(usize::from(length), what)
    }

    pub(super) fn u32_bytes(&mut self, what: &'static str) -> Result<Bytes, Malformed> {
        let length = usize::try_from(self.u32(what)?).map_err(|_| Malformed { what })?;
        self.take(length, what)
    }

    /// Decodes `count` items that take at least `item_bytes` each: refused before allocation if they cannot be here.
    pub(super) fn items<T>(
        &mut self,
        count: usize,
        item_bytes: usize,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        if count.checked_mul(item_bytes).is_none_or(|least| least > self.left.len()) {
            return Err(Malformed { what });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.left)
    }

    /// Refuses bytes after the end.
    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.left.is_empty() { Ok(()) } else { Err(Malformed { what: "end of message" }) }
    }
}
