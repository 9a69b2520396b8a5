//! The bodies of a segment's first and last record: whose it is, and that it is whole.

use super::id::{InstanceId, PalaceId, SegmentId};
use super::record::{RecordError, take, take_array};

/// The longest program name in a header, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 256;

/// Who writes a segment, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The segment itself: also its file name.
    pub segment: SegmentId,
    /// The instance that appends to it.
    pub instance: InstanceId,
    /// The palace that it belongs to.
    pub palace: PalaceId,
    /// The machine: from `/etc/machine-id`, zero if unknown.
    pub machine: [u8; 16],
    /// The machine's boot: from the kernel, zero if unknown.
    pub boot: [u8; 16],
    /// When it was created: milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// The file system's `statfs` type: 0xEF53 is ext4.
    pub fs_type: u64,
    /// The writing process, for people; nothing is decided by it.
    pub pid: u32,
    /// The writing program and its version, for people.
    pub program: String,
}

impl Header {
    /// The body of the header record. A program name over [`PROGRAM_BYTES_MAX`] is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let program = cut(&self.program);
        let mut body = Vec::with_capacity(102 + program.len());
        for id in [&self.segment.0, &self.instance.0, &self.palace.0, &self.machine, &self.boot] {
            body.extend_from_slice(id);
        }
        body.extend_from_slice(&self.created_ms.to_le_bytes());
        body.extend_from_slice(&self.fs_type.to_le_bytes());
        body.extend_from_slice(&self.pid.to_le_bytes());
        body.extend_from_slice(&(program.len() as u16).to_le_bytes());
        body.extend_from_slice(program.as_bytes());
        body
    }

    /// The inverse of [`Header::encode`].
    ///
    /// # Errors
    /// [`RecordError::Body`] if the bytes are not exactly one header.
    pub fn decode(body: &[u8]) -> Result<Self, RecordError> {
        let mut rest = body;
        let rest = &mut rest;
        let header = Header {
            segment: SegmentId(take_array(rest)?),
            instance: InstanceId(take_array(rest)?),
            palace: PalaceId(take_array(rest)?),
            machine: take_array(rest)?,
            boot: take_array(rest)?,
            created_ms: i64::from_le_bytes(take_array(rest)?),
            fs_type: u64::from_le_bytes(take_array(rest)?),
            pid: u32::from_le_bytes(take_array(rest)?),
            program: program(rest)?,
        };
        if rest.is_empty() { Ok(header) } else { Err(RecordError::Body("bytes after the header")) }
    }
}

/// As many whole characters as fit.
fn cut(program: &str) -> &str {
    let ends = program.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take_while(|end| *end <= PROGRAM_BYTES_MAX).last().unwrap_or(0);
    program.get(..end).unwrap_or_default()
}

fn program(rest: &mut &[u8]) -> Result<String, RecordError> {
    let length = u16::from_le_bytes(take_array(rest)?) as usize;
    if length > PROGRAM_BYTES_MAX {
        return Err(RecordError::Body("the program name is too long"));
    }
    let text = std::str::from_utf8(take(rest, length)?)
        .map_err(|_| RecordError::Body("the program name is not UTF-8"))?;
    Ok(text.to_owned())
}

/// The body of a footer: how many commits the segment holds.
#[must_use]
pub fn encode_footer(commits: u64) -> [u8; 8] {
    commits.to_le_bytes()
}

/// The inverse of [`encode_footer`].
///
/// # Errors
/// [`RecordError::Body`] if the body has not exactly 8 bytes.
pub fn decode_footer(body: &[u8]) -> Result<u64, RecordError> {
    let bytes = body.try_into().map_err(|_| RecordError::Body("a footer has 8 bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_round_trips_and_no_cut_decodes() {
        let header = Header {
            segment: SegmentId([1; 16]),
            instance: InstanceId([2; 16]),
            palace: PalaceId([3; 16]),
            machine: [4; 16],
            boot: [5; 16],
            created_ms: 1_790_000_000_000,
            fs_type: 0xEF53,
            pid: 77,
            program: "€".repeat(100),
        };
        let body = header.encode();
        let cut = Header { program: "€".repeat(85), ..header };
        assert_eq!(Header::decode(&body).as_ref(), Ok(&cut));
        let longest = Header { program: "x".repeat(PROGRAM_BYTES_MAX), ..cut };
        assert_eq!(Header::decode(&longest.encode()).as_ref(), Ok(&longest));
        for length in 0..body.len() {
            assert!(Header::decode(&body[..length]).is_err(), "cut at {length}");
        }
        assert_eq!(decode_footer(&encode_footer(9)), Ok(9));
        assert!(decode_footer(&[0; 7]).is_err());
    }
}
