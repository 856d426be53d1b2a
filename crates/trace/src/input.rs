//! What a file is, by its first bytes: a recording or a capture, compressed or not.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;

use crate::capture::{self, CaptureError, CaptureFile};
use crate::recording::{ReadError, Recording};

/// A file to read.
pub struct Input {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes.
    pub bytes: Box<dyn Read>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether passwords and account words that a capture holds are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// No: `***` stands for them.
    #[default]
    Masked,
    /// Yes, to whoever has asked for it.
    Shown,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Its first bytes could not be read.
    #[error("{name}: {error}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// It is no recording, and no capture either.
    #[error("{name}: {error}")]
    Recording {
        /// The file.
        name: String,
        /// Why.
        error: ReadError,
    },
    /// It is a capture, and cannot be read.
    #[error("{name}: {error}")]
    Capture {
        /// The file.
        name: String,
        /// Why.
        error: CaptureError,
    },
}

/// Reads recordings, and captures (pcap, pcapng), each of them gzip-compressed or not. All captures are decoded together.
/// Their sessions come behind those of the recordings.
///
/// A capture that is damaged or cut off is read up to there, and a note says so.
///
/// # Errors
/// [`InputError`], which names the file.
pub fn read(inputs: impl IntoIterator<Item = Input>) -> Result<Recording, InputError> {
    read_with(inputs, Secrets::Masked)
}

/// As [`read`]; with [`Secrets::Shown`] the events of captures hold what PASS and ACCT said. Recordings have none of it.
///
/// # Errors
/// [`InputError`], which names the file.
pub fn read_with(inputs: impl IntoIterator<Item = Input>, secrets: Secrets) -> Result<Recording, InputError> {
    let mut all = Recording::default();
    let mut captures = Vec::new();
    for Input { name, bytes } in inputs {
        let io = |error| InputError::Io { name: name.clone(), error };
        let mut plain = BufReader::new(bytes);
        let mut input: Box<dyn BufRead> = if plain.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::new(MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        let mut magic = [0; 4];
        let mut read = 0;
        while let Some(rest) = magic.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match input.read(rest).map_err(io)? {
                0 => break,
                n => read += n,
            }
        }
        let head = magic.get(..read).unwrap_or_default().to_vec();
        let whole = io::Cursor::new(head).chain(input);
        if read == magic.len() && capture::is_capture(magic) {
            let file =
                CaptureFile::open(magic, whole).map_err(|error| InputError::Capture { name: name.clone(), error })?;
            captures.push((name, file));
            continue;
        }
        let recording = Recording::read(whole).map_err(|error| InputError::Recording { name: name.clone(), error })?;
        all.sessions.extend(recording.sessions);
        all.notes.extend(recording.notes.into_iter().map(|note| format!("{name}: {note}")));
    }
    if !captures.is_empty() {
        let decoded = capture::decode(captures, secrets);
        all.sessions.extend(decoded.sessions);
        all.lookups.extend(decoded.lookups);
        all.notes.extend(decoded.notes);
    }
    Ok(all)
}
