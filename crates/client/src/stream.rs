//! The bytes of one transfer in one direction, while the control connection is watched.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use port21_proto::Reply;
use port21_proto::client::{Answer, DataState, JobId, Phase, Started, TransferRequest};
use port21_proto::parameters::Direction;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::client::Client;
use crate::connect::plain;
use crate::error::Error;

/// A transfer whose bytes flow.
pub(crate) struct Flow<'a> {
    pub(crate) client: &'a mut Client,
    job: JobId,
    /// How it has begun; nothing where it was over at once, without any bytes.
    pub(crate) started: Option<Started>,
    /// The bytes have ended.
    ended: bool,
    /// How all of it went, once that is known and until it is told.
    verdict: Option<Result<Reply, Error>>,
    /// That is known: there is nothing more to wait for.
    over: bool,
    stall: Stall,
    /// The bytes may have ended too early: the connection did, and TLS had not.
    truncated: bool,
    /// Counted here for when the connection is gone.
    bytes: u64,
}

impl<'a> Flow<'a> {
    /// Begins a transfer.
    pub(crate) async fn begin(
        client: &'a mut Client,
        request: TransferRequest,
        direction: Direction,
    ) -> Result<Flow<'a>, Error> {
        let (job, begun) = client.begin_transfer(request, direction).await?;
        Ok(Flow::begun(client, job, begun))
    }

    /// A transfer that has begun, or is over already.
    pub(crate) fn begun(client: &'a mut Client, job: JobId, begun: Result<Started, Answer>) -> Flow<'a> {
        let stall = Stall::new(client.settings().timeouts.stall);
        let (started, verdict) = match begun {
            Ok(started) => (Some(started), None),
            Err(answer) => (None, Some(final_reply(answer))),
        };
        let over = started.is_none();
        let ended = over || client.link.came_empty();
        Flow { client, job, ended, started, verdict, over, stall, truncated: false, bytes: 0 }
    }

    /// Whether the bytes may have ended too early.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Bytes that have gone over the data connection.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads; nothing is filled at the end of the bytes.
    ///
    /// The data connection comes first, so that its end is noticed before the server's final reply.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        if self.ended || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let Some(data) = self.client.link.data() else { return self.poll_failure(cx) };
        match data.poll_read(cx, buf) {
            Poll::Ready(Ok(truncated)) => {
                let read = buf.filled().len() - before;
                self.bytes += read as u64;
                if read > 0 {
                    self.stall.moved();
                } else {
                    (self.ended, self.truncated) = (true, truncated);
                    self.client.link.data_is(DataState::Ended);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.client.link.data_is(DataState::Broken(plain(&error)));
                self.poll_failure(cx)
            }
            Poll::Pending => {
                self.watch(cx)?;
                self.stall.poll(cx)
            }
        }
    }

    /// The socket of a data connection in clear text, for a thread that receives what comes by it. What that was is told by
    /// [`Flow::has_received`]; the end is for [`Flow::poll_read`] to find.
    pub(crate) fn socket(&mut self) -> Option<io::Result<OwnedFd>> {
        if self.ended { None } else { self.client.link.data()?.socket() }
    }

    /// Waits for bytes, which stay to be read; whether there are any, or the end.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let Some(data) = self.client.link.data() else { return self.poll_failure(cx).map_ok(|()| false) };
        match data.poll_first(cx) {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(true)),
            // Reads the end.
            Poll::Ready(Ok(false)) => {
                (self.ended, self.truncated) = (true, false);
                self.client.link.data_is(DataState::Ended);
                Poll::Ready(Ok(false))
            }
            Poll::Ready(Err(error)) => {
                self.client.link.data_is(DataState::Broken(plain(&error)));
                self.poll_failure(cx).map_ok(|()| false)
            }
            Poll::Pending => {
                self.watch(cx)?;
                self.stall.poll(cx)
            }
        }
    }

    /// A thread has received so many bytes by way of the socket, and then nothing for now, or the connection broke.
    pub(crate) async fn has_received(&mut self, bytes: usize, result: io::Result<()>) -> Result<(), Error> {
        self.bytes += bytes as u64;
        if bytes > 0 {
            self.stall.moved();
        }
        if let Some(data) = self.client.link.data() {
            data.has_received(bytes, result.is_err());
        }
        let Err(error) = result else { return Ok(()) };
        self.client.link.data_is(DataState::Broken(plain(&error)));
        poll_fn(|cx| self.poll_failure(cx)).await
    }

    /// Writes some of the bytes.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        // A refusal in the midst of an upload is to be seen before more is sent.
        self.watch(cx)?;
        let Some(data) = self.client.link.data() else { return self.poll_failure(cx).map_ok(|()| 0) };
        match data.poll_write(cx, bytes) {
            Poll::Ready(Ok(written)) => {
                self.bytes += written as u64;
                self.stall.moved();
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => {
                self.client.link.data_is(DataState::Broken(plain(&error)));
                self.poll_failure(cx).map_ok(|()| 0)
            }
            Poll::Pending => self.stall.poll(cx).map_ok(|()| 0),
        }
    }

    /// Ends the bytes of an upload.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.watch(cx)?;
        let Some(data) = self.client.link.data() else { return self.poll_failure(cx) };
        match ready!(data.poll_shutdown(cx)) {
            Ok(()) => {
                self.ended = true;
                self.client.link.data_is(DataState::Ended);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.client.link.data_is(DataState::Broken(plain(&error)));
                self.poll_failure(cx)
            }
        }
    }

    /// Waits for the server's final reply.
    pub(crate) fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, Error>> {
        if self.verdict.is_none() && !self.over {
            let result = ready!(self.client.link.poll_finish(cx, self.job));
            self.over = true;
            self.verdict = Some(result.and_then(final_reply));
            if matches!(self.verdict, Some(Ok(_))) {
                self.client.link.transferred();
            }
        }
        Poll::Ready(self.verdict.take().unwrap_or(Err(Error::Usage("the transfer has failed already"))))
    }

    /// Stops the transfer.
    pub(crate) async fn abort(self) -> Result<(), Error> {
        if self.started.is_none() { Ok(()) } else { self.client.stop().await }
    }

    /// Looks at the control connection: fails where the transfer has.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        match self.poll_verdict(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(verdict) => {
                self.verdict = Some(verdict);
                Ok(())
            }
        }
    }

    /// The data connection broke or is gone: waits for what the server has to say to that.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let why = match ready!(self.poll_verdict(cx)) {
            Err(error) => return Poll::Ready(Err(error)),
            Ok(reply) => format!("the data connection broke, but the server answered {reply}"),
        };
        Poll::Ready(Err(Error::Protocol { phase: Phase::Transfer, why }))
    }
}

fn final_reply(answer: Answer) -> Result<Reply, Error> {
    match answer {
        Answer::Transferred(reply) | Answer::Reply(reply) => Ok(reply),
        _ => Err(Error::Usage("the transfer was stopped")),
    }
}

/// Fails where a byte is waited for, and none moves, for too long.
struct Stall {
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn new(limit: Duration) -> Stall {
        Stall { limit, waiting: None }
    }

    fn moved(&mut self) {
        self.waiting = None;
    }

    fn poll<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let limit = self.limit;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        let what = "no byte has moved".to_owned();
        Poll::Ready(Err(Error::Timeout { phase: Phase::Transfer, what, after: limit }))
    }
}
