//! The bodies of the first and the last record of a segment, header and footer.

use super::id::{InstanceId, PalaceId, SegmentId};
use super::record::{RecordError, take, take_array};

/// The longest program name in a header, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 256;

/// The header of a segment: its writer, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The id of the segment itself, which is also its file name.
    pub segment: SegmentId,
    /// The instance that appends to it.
    pub instance: InstanceId,
    /// The palace that it belongs to.
    pub palace: PalaceId,
    /// The machine's id from `/etc/machine-id`, zero if unknown.
    pub machine: [u8; 16],
    /// The id of the machine's boot, from the kernel; zero if unknown.
    pub boot: [u8; 16],
    /// The time of creation, in milliseconds since 1970, UTC.
    pub created_ms: i64,
    /// The file system's `statfs` type: 0xEF53 is ext4.
    pub fs_type: u64,
    /// The id of the writing process, for people; no decision rests on it.
    pub pid: u32,
    /// The writing program and its version, for people.
    pub program: String,
}

impl Header {
    /// Encodes the body of the header record. A program name over [`PROGRAM_BYTES_MAX`] is cut.
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

    /// Decodes what [`Header::encode`] made.
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

/// Cuts a program name to as many whole characters as fit.
fn cut(program: &str) -> &str {
    let ends = program.char_indices().map(|(start, c)| start + c.len_utf8());
    let end = ends.take_while(|end| *end <= PROGRAM_BYTES_MAX).last().unwrap_or(0);
    program.get(..end).unwrap_or_default()
}

fn program(rest: &mut &[u8]) -> Result<String, RecordError> {
    let length = u16::from_le_bytes(take_array(rest)?) as usize;
    // A good checksum does not make a length true: any program can compute one.
    if length > PROGRAM_BYTES_MAX {
        return Err(RecordError::Body("the program name is too long"));
    }
    let text = std::str::from_utf8(take(rest, length)?)
        .map_err(|_| RecordError::Body("the program name is not UTF-8"))?;
    Ok(text.to_owned())
}

/// Encodes the body of a footer: the number of commits in the segment.
#[must_use]
pub fn encode_footer(commits: u64) -> [u8; 8] {
    commits.to_le_bytes()
}

/// Decodes what [`encode_footer`] made.
///
/// # Errors
/// [`RecordError::Body`] unless the body has exactly 8 bytes.
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
