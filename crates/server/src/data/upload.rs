//! The data connection to a file.

use std::fs::File;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::yield_now;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use port21_io::Pipe;
use port21_proto::server::{StorageError, TlsError, TransferError, UploadEof};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::brief::Turn;
use crate::data::connection::DataConnection;
use crate::data::encoding::{Decoder, Encoding};
use crate::storage::{BoxFuture, Sink, Upload, storage_error};

/// The most that is received and written at a time to begin with: most files are small.
const FIRST: usize = 64 * 1024;

/// The same of those that are not, where they pass through this process.
const BUFFER: usize = 256 * 1024;

/// So many pieces of what a client sends between two pauses may be written on the session's thread. A small file has one.
const HERE: u32 = 4;

/// A client that sends nothing for so long gives its thread back.
const IDLE: Duration = Duration::from_millis(10);

/// How many times others go first at the end of an upload.
const YIELDS: u32 = 4;

/// So long a transfer keeps a thread at a time: others wait for one where all are taken.
const TURN: Duration = Duration::from_millis(250);

/// Ends when a transfer is to be stopped, with the reason, and has ended from then on: it may be asked again, as whoever
/// moves the bytes may be done with its turn at the moment in which it is stopped.
pub(crate) struct Cancel {
    told: oneshot::Receiver<()>,
    /// A newer upload takes this one's place.
    displaced: Option<BoxFuture<'static, ()>>,
    gave_way: bool,
}

impl Cancel {
    /// Ends when the sender of `told` is dropped.
    pub(crate) fn new(told: oneshot::Receiver<()>) -> Cancel {
        Cancel { told, displaced: None, gave_way: false }
    }

    /// Ends also when an upload is displaced.
    pub(crate) fn or_when(&mut self, displaced: BoxFuture<'static, ()>) {
        self.displaced = Some(displaced);
    }
}

impl Future for Cancel {
    type Output = TransferError;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransferError> {
        // A receiver that has given its answer panics when it is asked for another, and so does a future.
        if self.told.is_terminated() || Pin::new(&mut self.told).poll(cx).is_ready() {
            return Poll::Ready(TransferError::Cancelled);
        }
        if let Some(displaced) = &mut self.displaced
            && displaced.as_mut().poll(cx).is_ready()
        {
            self.displaced = None;
            self.gave_way = true;
        }
        if self.gave_way { Poll::Ready(TransferError::Displaced) } else { Poll::Pending }
    }
}

/// How an upload is received.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) encoding: Encoding,
    /// What counts as its end.
    pub(crate) eof: UploadEof,
    /// Whether its digest is wanted.
    pub(crate) digests: bool,
}

/// An upload of which all that came is written.
pub(crate) struct Received {
    pub(crate) upload: Box<dyn Upload>,
    /// Whether the client ended it in order.
    pub(crate) result: Result<(), TransferError>,
    /// The SHA-256 of what came, where it is wanted.
    pub(crate) digest: Option<[u8; 32]>,
}

/// An upload that could not be written.
pub(crate) struct Failed {
    pub(crate) error: TransferError,
    /// Its client may still be sending, and was told that no more is wanted.
    pub(crate) data: Option<Box<DataConnection>>,
}

impl Failed {
    fn new(error: TransferError, mut data: DataConnection) -> Failed {
        data.end_early();
        Failed { error, data: Some(Box::new(data)) }
    }
}

/// Receives all that the client sends, unless it is cancelled. What came before an error or that is written too: where
/// the upload is in place, it is what the client resumes from.
///
/// Dropped, it leaves a write that is under way to its end, and only then lets go of the upload.
pub(crate) async fn upload(
    mut data: DataConnection,
    upload: Box<dyn Upload>,
    Terms { encoding, eof, digests }: Terms,
    cancel: Cancel,
) -> Result<Received, Failed> {
    data.receives();
    let mut target = Target { upload, decoder: Decoder::new(encoding, digests), eof };
    match target.upload.sink() {
        Sink::File(_) => to_file(data, target, cancel).await,
        Sink::Writer(_) => to_writer(data, target, cancel).await,
    }
}

/// Why no more is received.
enum End {
    InOrder,
    Broken(io::Error),
    Stopped(TransferError),
}

/// Waits for bytes here, and moves them in the blocking pool for as long as they come without a pause.
///
/// A write can wait for the disk, so workers of the runtime do few of them, and never all at once (see [`Turn`]). To hand over
/// each buffer costs more than to copy it; so while the client is fast one thread receives and writes, as in a server with a
/// process for each client, and a client that pauses costs no thread.
async fn to_file(data: DataConnection, target: Target, mut cancel: Cancel) -> Result<Received, Failed> {
    let stop = Stop::default();
    let buffer = Vec::with_capacity(data.slice(FIRST));
    #[cfg(target_os = "linux")]
    let pipe = if target.decoder.is_plain() && !data.is_protected() { Way::Possible } else { Way::None };
    let mut pump = Pump {
        data,
        target,
        buffer,
        #[cfg(target_os = "linux")]
        pipe,
        stop: stop.0.clone(),
    };
    let mut here = 0;
    loop {
        let end = tokio::select! {
            biased;
            why = &mut cancel => Some(End::Stopped(why)),
            received = pump.data.receive(&mut pump.buffer) => end_of(received),
        };
        let is_last = end.is_some();
        let mut so_far = Ok(());
        if here < HERE
            && pump.has_little()
            && let Some(_turn) = Turn::take()
        {
            here += 1;
            so_far = pump.write(is_last);
            match end {
                None if so_far.is_ok() => continue,
                Some(end) if so_far.is_ok() => return Ok(received(pump.data, pump.target, end)),
                _ => {}
            }
        }
        here = 0;
        let mut moving = spawn_blocking(move || pump.run(so_far, end));
        let (moved, stopped) = tokio::select! {
            moved = &mut moving => (moved, None),
            why = &mut cancel, if !is_last => {
                stop.now();
                (moving.await, Some(why))
            }
        };
        let mut end;
        (pump, end) = match moved {
            Ok(moved) => moved?,
            Err(error) => return Err(Failed { error: StorageError::Io(error.to_string()).into(), data: None }),
        };
        if let (Some(End::Stopped(_)), Some(why)) = (&end, stopped) {
            end = Some(End::Stopped(why));
        }
        if let Some(end) = end {
            return Ok(received(pump.data, pump.target, end));
        }
    }
}

/// The part of a transfer that may block.
struct Pump {
    data: DataConnection,
    target: Target,
    buffer: Vec<u8>,
    #[cfg(target_os = "linux")]
    pipe: Way,
    stop: Arc<AtomicBool>,
}

/// Whether bytes go to the file without passing through this process.
#[cfg(target_os = "linux")]
enum Way {
    /// They must pass through it.
    None,
    /// They need not, once they are many.
    Possible,
    Open(Pipe),
}

impl Pump {
    /// Writes what is in the buffer and all that follows, until the end, a pause of the client, or the end of its turn: unless
    /// it has failed already.
    fn run(mut self, so_far: Result<(), TransferError>, end: Option<End>) -> Result<(Pump, Option<End>), Failed> {
        match so_far.and_then(|()| self.write_all(end)) {
            Ok(end) => Ok((self, end)),
            // The upload is let go of here, where that may take its time.
            Err(error) => Err(Failed::new(error, self.data)),
        }
    }

    fn write_all(&mut self, mut end: Option<End>) -> Result<Option<End>, TransferError> {
        let until = Instant::now() + TURN;
        loop {
            let is_full = self.is_full();
            self.write(end.is_some())?;
            if end.is_some() {
                return Ok(end);
            }
            if is_full {
                self.widen();
            }
            end = match self.receive()? {
                _ if self.stop.load(Ordering::Relaxed) => Some(End::Stopped(TransferError::Cancelled)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.narrow();
                    return Ok(None);
                }
                received => end_of(received),
            };
            if end.is_none() && Instant::now() >= until {
                self.write(false)?;
                return Ok(None);
            }
        }
    }

    /// Writes what is in the buffer; of the last of it also what was held back.
    fn write(&mut self, is_last: bool) -> Result<(), TransferError> {
        self.target.write(&self.buffer)?;
        self.buffer.clear();
        if is_last {
            self.target.write_rest()?;
            // The end of a killed client's data connection may have taken the processor from it, before it could end
            // its control connection: it goes first. Where nobody waits this costs nothing.
            (0..YIELDS).for_each(|_| yield_now());
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.buffer.len() == self.buffer.capacity()
    }

    /// Whether what has come is written in no time, unless there is a disk to wait for.
    fn has_little(&self) -> bool {
        !self.is_full() && self.target.upload.is_quick()
    }

    /// More comes than there is room for.
    fn widen(&mut self) {
        #[cfg(target_os = "linux")]
        if matches!(self.pipe, Way::Possible) {
            self.pipe = Pipe::new().map_or(Way::None, Way::Open);
        }
        #[cfg(target_os = "linux")]
        if matches!(self.pipe, Way::Open(_)) {
            return;
        }
        let more = self.data.slice(BUFFER).saturating_sub(self.buffer.capacity());
        self.buffer.reserve_exact(self.buffer.len() + more);
    }

    /// A client that pauses keeps no pipe.
    fn narrow(&mut self) {
        #[cfg(target_os = "linux")]
        if matches!(self.pipe, Way::Open(_)) {
            self.pipe = Way::Possible;
        }
    }

    /// Receives into the buffer, or to the file at once.
    fn receive(&mut self) -> Result<io::Result<usize>, TransferError> {
        #[cfg(target_os = "linux")]
        if let Way::Open(pipe) = &self.pipe {
            let received = self.data.receive_through(pipe, IDLE);
            if let Ok(bytes) = received
                && self.target.write_from(pipe, bytes, &mut self.buffer)? < bytes
            {
                self.pipe = Way::None;
            }
            return Ok(received);
        }
        Ok(self.data.receive_now(&mut self.buffer, IDLE))
    }
}

/// Tells a [`Pump`] to stop; also when the transfer that waits for it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.now();
    }
}

async fn to_writer(mut data: DataConnection, mut target: Target, mut cancel: Cancel) -> Result<Received, Failed> {
    match write_all(&mut data, &mut target, &mut cancel).await {
        Ok(end) => Ok(received(data, target, end)),
        Err(error) => Err(Failed::new(error, data)),
    }
}

async fn write_all(data: &mut DataConnection, target: &mut Target, cancel: &mut Cancel) -> Result<End, TransferError> {
    let mut buffer = Vec::with_capacity(data.slice(BUFFER));
    loop {
        let end = tokio::select! {
            biased;
            why = &mut *cancel => Some(End::Stopped(why)),
            received = data.receive(&mut buffer) => end_of(received),
        };
        let mut bytes = buffer.as_slice();
        while let Some(local) = target.decoder.next(&mut bytes).inspect_err(|_| target.upload.spoil())? {
            write_to_writer(&mut *target.upload, local).await?;
        }
        buffer.clear();
        if end.is_some() {
            write_to_writer(&mut *target.upload, target.decoder.rest()).await?;
            if let Sink::Writer(writer) = target.upload.sink() {
                writer.flush().await.map_err(cannot_write)?;
            }
        }
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

fn end_of(received: io::Result<usize>) -> Option<End> {
    match received {
        Ok(0) => Some(End::InOrder),
        Ok(_) => None,
        Err(error) => Some(End::Broken(error)),
    }
}

fn received(mut data: DataConnection, target: Target, end: End) -> Received {
    let end = match end {
        End::InOrder => Ok(()),
        End::Broken(error) => match data.broke(error) {
            // It has ended in order as far as TCP tells, and this account is content with that.
            TransferError::Tls(TlsError::Truncated) if target.eof == UploadEof::Lenient => Ok(()),
            error => Err(error),
        },
        End::Stopped(why) => Err(why),
    };
    let result = end.and_then(|()| {
        data.received_all();
        target.decoder.check_end()
    });
    Received { upload: target.upload, result, digest: target.decoder.digest() }
}

/// Where the bytes go.
struct Target {
    upload: Box<dyn Upload>,
    decoder: Decoder,
    eof: UploadEof,
}

impl Target {
    /// Writes bytes as they came from the wire to the file.
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), TransferError> {
        // What cannot be read may have been wrong for a while: nothing of it is worth to be kept as a part.
        while let Some(local) = self.decoder.next(&mut bytes).inspect_err(|_| self.upload.spoil())? {
            write_to_file(&mut *self.upload, local)?;
        }
        Ok(())
    }

    /// Writes so many bytes as they came from the wire, which the pipe holds: how many of them it could give to the file
    /// itself. The others have gone by way of `buffer`, which is empty before and after.
    #[cfg(target_os = "linux")]
    fn write_from(&mut self, pipe: &Pipe, bytes: usize, buffer: &mut Vec<u8>) -> Result<usize, TransferError> {
        if bytes == 0 {
            return Ok(0);
        }
        into_file(&mut *self.upload, bytes, |mut file| {
            let left = pipe.give_to(file, bytes)?;
            buffer.resize(left, 0);
            pipe.read(buffer)?;
            file.write_all(buffer)?;
            buffer.clear();
            Ok(bytes - left)
        })
    }

    /// Writes what was held back, once nothing more will come.
    fn write_rest(&mut self) -> Result<(), TransferError> {
        write_to_file(&mut *self.upload, self.decoder.rest())
    }
}

fn write_to_file(upload: &mut dyn Upload, bytes: &[u8]) -> Result<(), TransferError> {
    if bytes.is_empty() {
        return Ok(());
    }
    into_file(upload, bytes.len(), |mut file| file.write_all(bytes))
}

/// Writes so many bytes as `write` does.
fn into_file<T>(
    upload: &mut dyn Upload,
    bytes: usize,
    write: impl FnOnce(&File) -> io::Result<T>,
) -> Result<T, TransferError> {
    let written = upload.take(bytes as u64).map_err(TransferError::from).and_then(|()| match upload.sink() {
        Sink::File(file) => write(&file).map_err(cannot_write),
        Sink::Writer(_) => Err(StorageError::Io("the upload has become something else".into()).into()),
    });
    // What has no room is not to be kept as the part of an upload: that would take room from what has.
    written.inspect_err(|_| upload.spoil())
}

async fn write_to_writer(upload: &mut dyn Upload, bytes: &[u8]) -> Result<(), TransferError> {
    upload.take(bytes.len() as u64).inspect_err(|_| upload.spoil())?;
    match upload.sink() {
        Sink::Writer(writer) => writer.write_all(bytes).await.map_err(cannot_write),
        Sink::File(_) => Err(StorageError::Io("the upload has become something else".into()).into()),
    }
}

fn cannot_write(error: io::Error) -> TransferError {
    storage_error(&error).into()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use port21_proto::FtpPath;
    use port21_proto::server::{Mode, Representation};
    use tokio::net::TcpStream;

    use super::*;
    use crate::data::connection::loopback;
    use crate::storage::Answer;

    /// An upload to a file, or to whatever takes bytes.
    struct Plain<W> {
        path: FtpPath,
        writer: W,
        file: Option<Arc<File>>,
    }

    impl<W: tokio::io::AsyncWrite + Send + Unpin> Upload for Plain<W> {
        fn path(&self) -> &FtpPath {
            &self.path
        }

        fn sink(&mut self) -> Sink<'_> {
            match &self.file {
                Some(file) => Sink::File(file.clone()),
                None => Sink::Writer(&mut self.writer),
            }
        }

        fn sync(&mut self) -> Answer<'_, ()> {
            Box::pin(async { Ok(()) })
        }

        fn commit(self: Box<Self>) -> Answer<'static, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    fn plain(representation: Representation) -> Terms {
        let encoding = Encoding { representation, mode: Mode::Stream, level: 6 };
        Terms { encoding, eof: UploadEof::Strict, digests: false }
    }

    /// What is written to a file, and how it ends, when the client does this. It is cancelled unless that is given back.
    async fn receive(
        representation: Representation,
        client: impl AsyncFnOnce(TcpStream, oneshot::Sender<()>) -> Option<oneshot::Sender<()>>,
    ) -> (Vec<u8>, Result<(), TransferError>) {
        receive_in(tempfile::tempfile().unwrap(), representation, client).await
    }

    async fn receive_in(
        mut file: File,
        representation: Representation,
        client: impl AsyncFnOnce(TcpStream, oneshot::Sender<()>) -> Option<oneshot::Sender<()>>,
    ) -> (Vec<u8>, Result<(), TransferError>) {
        let to = Arc::new(file.try_clone().unwrap());
        let target = Plain { path: FtpPath::root(), writer: tokio::io::sink(), file: Some(to) };
        let (data, stream) = loopback().await;
        let (cancel, cancelled) = oneshot::channel();
        let (received, _kept) = tokio::join!(
            upload(data, Box::new(target), plain(representation), Cancel::new(cancelled)),
            client(stream, cancel)
        );
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        (bytes, received.unwrap_or_else(|failed| panic!("{}", failed.error)).result)
    }

    #[tokio::test]
    async fn every_byte_until_the_end() {
        let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let (got, result) = receive(Representation::Image, async |mut client, cancel| {
            client.write_all(&bytes).await.unwrap();
            Some(cancel)
        })
        .await;
        result.unwrap();
        assert!(got == bytes);
    }

    /// A file in append mode takes no pages of a pipe.
    #[tokio::test]
    async fn every_byte_at_the_end_of_a_file() {
        let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, b"before").unwrap();
        let file = File::options().read(true).append(true).open(&path).unwrap();
        let (got, result) = receive_in(file, Representation::Image, async |mut client, cancel| {
            client.write_all(&bytes).await.unwrap();
            Some(cancel)
        })
        .await;
        result.unwrap();
        assert!(got == [b"before", bytes.as_slice()].concat());
    }

    #[tokio::test]
    async fn text_that_ends_with_half_a_line_end() {
        let (got, result) = receive(Representation::Ascii, async |mut client, cancel| {
            client.write_all(b"a\r\nb\rc\r").await.unwrap();
            Some(cancel)
        })
        .await;
        result.unwrap();
        assert_eq!(got, b"a\nb\rc\r");
    }

    #[tokio::test]
    async fn what_came_before_it_was_cancelled_is_written() {
        let (data, mut client) = loopback().await;
        let mut file = tempfile::tempfile().unwrap();
        let (to, watched) = (Arc::new(file.try_clone().unwrap()), file.try_clone().unwrap());
        let target = Plain { path: FtpPath::root(), writer: tokio::io::sink(), file: Some(to) };
        let (cancel, cancelled) = oneshot::channel();
        let client = async {
            client.write_all(b"so far").await.unwrap();
            while watched.metadata().unwrap().len() < 6 {
                tokio::task::yield_now().await;
            }
            // The transfer ends before the client does.
            drop(cancel);
            assert_eq!(tokio::io::AsyncReadExt::read(&mut client, &mut [0]).await.unwrap_or(0), 0);
        };
        let upload = upload(data, Box::new(target), plain(Representation::Image), Cancel::new(cancelled));
        let (received, ()) = tokio::join!(upload, client);
        let result = received.unwrap_or_else(|failed| panic!("{}", failed.error)).result;
        assert!(matches!(result, Err(TransferError::Cancelled)), "{result:?}");
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"so far");
    }

    #[tokio::test]
    async fn a_transfer_that_was_stopped_stays_so() {
        let (cancel, cancelled) = oneshot::channel();
        let mut cancelled = Cancel::new(cancelled);
        drop(cancel);
        (&mut cancelled).await;
        (&mut cancelled).await;
    }

    #[tokio::test]
    async fn to_a_writer_in_both_forms() {
        for (representation, want) in [(Representation::Image, &b"a\r\nb\r"[..]), (Representation::Ascii, b"a\nb\r")] {
            let (writer, mut read) = tokio::io::duplex(64);
            let target = Plain { path: FtpPath::root(), writer, file: None };
            let (data, mut client) = loopback().await;
            let (_cancel, cancelled) = oneshot::channel();
            client.write_all(b"a\r\nb\r").await.unwrap();
            drop(client);
            let received = upload(data, Box::new(target), plain(representation), Cancel::new(cancelled)).await;
            let received = received.unwrap_or_else(|failed| panic!("{}", failed.error));
            received.result.unwrap();
            drop(received.upload);
            let mut got = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut read, &mut got).await.unwrap();
            assert_eq!(got, want);
        }
    }
}
