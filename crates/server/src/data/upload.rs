//! The data connection to a file.

use std::io::{self, Write};

use port21_proto::ascii::FromWire;
use port21_proto::server::{Form, StorageError, TransferError};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::data::connection::{DataConnection, broken};
use crate::storage::{Sink, Upload};

/// How much is received before it is written, where the client is fast. Two such buffers serve a transfer: one is
/// written while the other fills. Measured against splice through a pipe, which moves 64 KiB a call and on common file
/// systems copies as well: the same throughput, and this works for every file and both types.
const BUFFER: usize = 256 * 1024;

/// A slow client's bytes are written once there are so many of them, or at its end.
const ENOUGH: usize = BUFFER / 2;

/// Ends when a transfer is to be stopped.
pub(crate) type Cancel = oneshot::Receiver<()>;

/// Receives all that the client sends, unless it is cancelled. What came before an error or that is written too: where
/// the upload is in place, it is what the client resumes from.
///
/// Dropped, it leaves a write that is under way to its end, and only then lets go of the upload.
pub(crate) async fn upload(
    mut data: DataConnection,
    upload: Box<dyn Upload>,
    form: Form,
    mut cancel: Cancel,
) -> Result<Received, TransferError> {
    data.receives();
    let mut target = Target { upload, ascii: (form == Form::Ascii).then(Default::default) };
    let mut filling = Vec::with_capacity(BUFFER);
    let mut full = Vec::new();
    loop {
        let (end, spent);
        // A write that fails ends the transfer at once, however slow the client is.
        (end, (target, spent)) = tokio::try_join!(fill(&mut data, &mut filling, &mut cancel), target.write(full))?;
        full = std::mem::replace(&mut filling, spent);
        if filling.capacity() == 0 && matches!(end, End::Full) {
            filling.reserve_exact(BUFFER);
        }
        let result = match end {
            End::Full => continue,
            End::InOrder => Ok(()),
            End::Broken(error) => Err(broken(error)),
            End::Cancelled => Err(TransferError::Cancelled),
        };
        (target, _) = target.write(full).await?;
        let upload = target.finish().await?;
        if result.is_ok() {
            data.received_all();
        }
        return Ok(Received { upload, result });
    }
}

/// An upload of which all that came is written.
pub(crate) struct Received {
    pub(crate) upload: Box<dyn Upload>,
    /// Whether the client ended it in order.
    pub(crate) result: Result<(), TransferError>,
}

/// Why [`fill`] ended.
enum End {
    Full,
    InOrder,
    Broken(io::Error),
    Cancelled,
}

/// Receives until the buffer is full, or has enough in it and nothing more has come yet.
async fn fill(data: &mut DataConnection, buffer: &mut Vec<u8>, cancel: &mut Cancel) -> Result<End, TransferError> {
    loop {
        let received = tokio::select! {
            biased;
            _ = &mut *cancel => return Ok(End::Cancelled),
            received = data.receive(buffer) => received,
        };
        match received {
            Ok(0) => return Ok(End::InOrder),
            Ok(_) => {}
            Err(error) => return Ok(End::Broken(error)),
        }
        while buffer.len() < buffer.capacity() {
            match data.try_receive(buffer) {
                Ok(0) => return Ok(End::InOrder),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Ok(End::Broken(error)),
            }
        }
        if buffer.len() >= ENOUGH {
            return Ok(End::Full);
        }
    }
}

/// Where the bytes go.
struct Target {
    upload: Box<dyn Upload>,
    ascii: Option<(FromWire, Vec<u8>)>,
}

impl Target {
    /// Writes all of `buffer` and gives it back, empty.
    ///
    /// A file is written in the blocking pool, by a closure that owns the upload meanwhile: it is never let go of under
    /// a write.
    async fn write(mut self, mut buffer: Vec<u8>) -> Result<(Target, Vec<u8>), TransferError> {
        if buffer.is_empty() {
            return Ok((self, buffer));
        }
        if matches!(self.upload.sink(), Sink::File(_)) {
            let written = spawn_blocking(move || {
                let bytes = local(&mut self.ascii, &buffer);
                let result = match self.upload.sink() {
                    Sink::File(file) => (&*file).write_all(bytes),
                    Sink::Writer(_) => Err(io::ErrorKind::Unsupported.into()),
                };
                buffer.clear();
                (self, buffer, result)
            });
            let (target, buffer, result) = written.await.map_err(|e| StorageError::Io(e.to_string()))?;
            result.map_err(cannot_write)?;
            return Ok((target, buffer));
        }
        let bytes = local(&mut self.ascii, &buffer);
        if let Sink::Writer(writer) = self.upload.sink() {
            writer.write_all(bytes).await.map_err(cannot_write)?;
        }
        buffer.clear();
        Ok((self, buffer))
    }

    /// Writes what is left once no more will come.
    async fn finish(mut self) -> Result<Box<dyn Upload>, TransferError> {
        let mut rest = Vec::new();
        if let Some((mut converter, _)) = self.ascii.take() {
            converter.finish(&mut rest);
        }
        let (mut target, _) = self.write(rest).await?;
        if let Sink::Writer(writer) = target.upload.sink() {
            writer.flush().await.map_err(cannot_write)?;
        }
        Ok(target.upload)
    }
}

/// The bytes as the file has them.
fn local<'a>(ascii: &'a mut Option<(FromWire, Vec<u8>)>, bytes: &'a [u8]) -> &'a [u8] {
    match ascii {
        None => bytes,
        Some((converter, out)) => {
            out.clear();
            converter.convert(bytes, out);
            out
        }
    }
}

fn cannot_write(error: io::Error) -> TransferError {
    match error.kind() {
        io::ErrorKind::StorageFull => StorageError::NoSpace,
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StorageError::OverQuota,
        _ => StorageError::Io(format!("writing: {error}")),
    }
    .into()
}
