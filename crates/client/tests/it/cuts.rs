//! Connections that break: what comes of it is the right file, or an honest error.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use port21_client::{
    Batch, BatchOptions, BoxFuture, Connector, Dial, Direct, Error, Event, Mirror, MirrorOptions, Parallel, Retry,
    Stream, Transferred, Transport, Verify,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::own::serve;
use crate::trees::settings;

/// Opens connections that break after as many bytes as the next of these numbers says; when they are used up, none does.
#[derive(Clone, Default)]
struct Cuts(Arc<Mutex<Vec<u64>>>);

impl Connector for Cuts {
    fn connect(&self, dial: Dial) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let stream = Direct.connect(dial).await?;
            let left = self.0.lock().unwrap().pop();
            Ok(match left {
                Some(left) => Stream::Other(Box::new(Broken { stream, left })),
                None => stream,
            })
        })
    }
}

struct Broken {
    stream: Stream,
    left: u64,
}

impl Broken {
    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::ConnectionReset.into()),
        }
        Ok(())
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        // Nobody says farewell on a connection that broke.
        if let (0, Some(tcp)) = (self.left, self.stream.as_tcp()) {
            SockRef::from(tcp).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

impl AsyncRead for Broken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        // What came before the break arrives.
        let room = buf.remaining().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut some = ReadBuf::new(buf.initialize_unfilled_to(room));
        let ready = Pin::new(&mut self.stream).poll_read(cx, &mut some);
        let read = some.filled().len();
        if let Poll::Ready(Ok(())) = ready {
            self.spend(read)?;
            buf.advance(read);
        }
        ready
    }
}

impl AsyncWrite for Broken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let ready = Pin::new(&mut self.stream).poll_write(cx, &bytes[..room]);
        if let Poll::Ready(Ok(written)) = ready {
            self.spend(written)?;
        }
        ready
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Transport for Broken {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    /// Cuts anywhere from the greeting to the midst of a file.
    fn cuts(&mut self) -> Cuts {
        let many = self.below(12);
        let cuts = (0..many).map(|_| match self.below(3) {
            0 => self.below(300),
            1 => self.below(40_000),
            _ => self.below(4_000_000),
        });
        Cuts(Arc::new(Mutex::new(cuts.collect())))
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 255 + i / 65_537) as u8).collect()
}

const TRYING: Retry =
    Retry { attempts: 4, connect: 4, first: Duration::from_millis(1), longest: Duration::from_millis(2) };

fn options(segments: usize) -> BatchOptions {
    BatchOptions { retry: TRYING, segments, ..BatchOptions::default() }
}

/// Runs a batch of one file.
async fn one(
    addr: SocketAddr,
    cuts: &Cuts,
    options: BatchOptions,
    add: impl FnOnce(&mut Batch),
) -> Result<Transferred, Error> {
    let ended = Arc::new(Mutex::new(None));
    let seen = ended.clone();
    let watch = move |event: &Event<'_>| {
        if let Event::Ended { result, .. } = event {
            let told = match result {
                Ok(done) => Ok(done.clone()),
                Err(error) => Err(error.to_string()),
            };
            assert!(seen.lock().unwrap().replace(told).is_none(), "it ends once");
        }
    };
    let settings = settings(addr).connector(Arc::new(cuts.clone()));
    let mut batch = Batch::new(settings, options, Arc::new(watch));
    add(&mut batch);
    batch.run().await?;
    let told = ended.lock().unwrap().take().expect("its end was told");
    told.map_err(|_| Error::Usage("it failed"))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn downloads_come_whole_or_fail() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    let whole = bytes(5_000_000);
    std::fs::write(root.path().join("f"), &whole).unwrap();
    let mut chance = Chance(21);
    for round in 0..40 {
        let here = tempfile::tempdir().unwrap();
        let to = here.path().join("f");
        let segments = if round % 2 == 0 { 1 } else { 3 };
        let result = one(addr, &chance.cuts(), options(segments), |batch| batch.get("f", &to, None)).await;
        assert_eq!(result.is_ok(), to.exists(), "round {round}");
        if result.is_err() {
            // What is left is of use to the next attempt.
            let resume = BatchOptions { resume: true, ..options(segments) };
            one(addr, &Cuts::default(), resume, |batch| batch.get("f", &to, None)).await.unwrap();
        }
        assert!(std::fs::read(&to).unwrap() == whole, "round {round}");
        assert_eq!(names(here.path()), ["f"], "round {round}");
    }
}

#[tokio::test]
async fn uploads_arrive_whole_or_fail() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    let here = tempfile::tempdir().unwrap();
    let whole = bytes(3_000_000);
    let from = here.path().join("f");
    std::fs::write(&from, &whole).unwrap();
    let mut chance = Chance(5);
    for round in 0..30 {
        let name = format!("f{round}");
        let result = one(addr, &chance.cuts(), options(1), |batch| batch.put(&from, name.as_bytes())).await;
        let there = root.path().join(&name);
        // A lost farewell leaves what has arrived; half a file never has the name.
        assert!(!there.exists() || std::fs::read(&there).unwrap() == whole, "round {round}");
        assert!(result.is_err() || there.exists(), "round {round}");
    }
}

#[tokio::test]
async fn a_mirror_that_was_interrupted_does_what_is_left() {
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    for n in 0..40 {
        std::fs::create_dir_all(root.path().join(format!("d{}", n % 4))).unwrap();
        std::fs::write(root.path().join(format!("d{}/{n}", n % 4)), bytes(n * 5000)).unwrap();
    }
    let here = tempfile::tempdir().unwrap();
    let mut chance = Chance(9);
    let (mut transferred, mut rounds) = (0, 0);
    loop {
        let cuts = if rounds < 20 { chance.cuts() } else { Cuts::default() };
        let settings = settings(addr).connector(Arc::new(cuts));
        let batch = BatchOptions { parallel: Parallel::Sessions(2), ..options(1) };
        let mirror = Mirror::new(settings, batch, MirrorOptions::default(), Arc::new(|_: &Event<'_>| ()));
        let done = mirror.down(b"", here.path()).await;
        rounds += 1;
        if let Ok(summary) = done {
            transferred += summary.transferred;
            if summary.failed == 0 {
                break;
            }
        }
        assert!(rounds < 30);
    }
    assert!(transferred <= 40, "no file came twice: {transferred}");
    for n in 0..40 {
        assert_eq!(std::fs::read(here.path().join(format!("d{}/{n}", n % 4))).unwrap(), bytes(n * 5000));
    }
}

#[tokio::test]
async fn what_was_verified_is_told() {
    use port21_client::{Algorithm, Verified};
    let (addr, root) = serve(Ipv4Addr::LOCALHOST.into());
    std::fs::write(root.path().join("f"), bytes(3_000_000)).unwrap();
    let here = tempfile::tempdir().unwrap();
    let to = here.path().join("f");
    let verified = |verify, segments| {
        let options = BatchOptions { verify, ..options(segments) };
        let to = to.clone();
        async move { one(addr, &Cuts::default(), options, |batch| batch.get("f", to, None)).await.unwrap().verified }
    };
    assert_eq!(verified(Verify::Nothing, 1).await, Some(Verified::Size));
    assert_eq!(verified(Verify::Cheaply, 1).await, Some(Verified::Size));
    for segments in [1, 2] {
        assert_eq!(verified(Verify::Digest, segments).await, Some(Verified::Digest(Algorithm::Sha256)));
    }
    let put = BatchOptions { verify: Verify::Digest, ..options(1) };
    let done = one(addr, &Cuts::default(), put, |batch| batch.put(&to, "g")).await.unwrap();
    assert_eq!((done.verified, done.time_kept), (Some(Verified::Digest(Algorithm::Sha256)), true));
    // A part of another file is found out, and is not kept.
    std::fs::write(here.path().join("h.port21-part"), vec![0; 1_000_000]).unwrap();
    let resume = BatchOptions { verify: Verify::Digest, resume: true, ..options(1) };
    let done = one(addr, &Cuts::default(), resume, |batch| batch.get("f", here.path().join("h"), None)).await.unwrap();
    assert_eq!(done.from, 0);
    assert!(std::fs::read(here.path().join("h")).unwrap() == bytes(3_000_000));
}
