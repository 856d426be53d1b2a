//! A file from one server to another, without a detour (RFC 959 section 2.3, figure 2; known as FXP).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use port21_proto::Reply;
use port21_proto::addr;
use port21_proto::client::{Answer, JobId, Phase, Request};
use port21_proto::command::{Command, Epsv, Text};

use crate::Representation;
use crate::client::{Client, reply};
use crate::error::Error;

/// What both servers have said of a transfer between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Between {
    /// The final reply of the server that has sent the file.
    pub sent: Reply,
    /// The final reply of the server that has taken it.
    pub taken: Reply,
    /// How many bytes the file has, where both servers tell and agree.
    pub size: Option<u64>,
}

impl Client {
    /// Has this session's server send the file `from` to the server of another session, which stores it as `to`: its bytes go
    /// from one to the other. The one listens (PASV or EPSV), the other connects (PORT or EPRT) to the address of the first as this
    /// side knows it; where either refuses, it is tried the other way round. Most servers refuse both unless their operator has
    /// allowed it, as anyone could be connected to so (RFC 2577 section 3).
    ///
    /// `limit` is for all of it: nobody here sees the bytes move. Afterwards the sizes of both files are compared, where both servers
    /// tell them.
    ///
    /// Files go in clear text where both sessions are in clear text, or [`Client::set_protect_data`] says so for both. Else one of
    /// the servers has to play the client's part in TLS, which few can (`CPSV` or `SSCN` in FEAT), and must not demand that the
    /// session of its control connection is resumed: nobody else has that.
    ///
    /// Cancel safety: where the future is dropped, both servers are stopped by the next call of either session. What the other has
    /// stored by then is its own affair.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), port21_client::Error> {
    /// use port21_client::Client;
    ///
    /// let mut here = Client::connect("ftp://old.example.org/").await?;
    /// let mut there = Client::connect("ftp://new.example.org/").await?;
    /// let limit = std::time::Duration::from_secs(3600);
    /// let done = here.send_to("archive.tar", &mut there, "archive.tar", limit).await?;
    /// println!("{}", done.taken);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Client`]; those of either server. [`Error::Usage`] where the files of one session are to be protected and those of the
    /// other not, or nobody can play the client's part. [`Error::Timeout`] after `limit`. [`Error::Protocol`] where the sizes differ.
    pub async fn send_to(
        &mut self,
        from: impl AsRef<[u8]>,
        other: &mut Client,
        to: impl AsRef<[u8]>,
        limit: Duration,
    ) -> Result<Between, Error> {
        self.send_as(from.as_ref(), other, to.as_ref(), false, limit).await
    }

    /// As [`Client::send_to`], behind the last byte of the other server's file (APPE), or into a new one. Sizes are not compared.
    ///
    /// # Errors
    /// As [`Client::send_to`].
    pub async fn append_to(
        &mut self,
        from: impl AsRef<[u8]>,
        other: &mut Client,
        to: impl AsRef<[u8]>,
        limit: Duration,
    ) -> Result<Between, Error> {
        self.send_as(from.as_ref(), other, to.as_ref(), true, limit).await
    }

    async fn send_as(
        &mut self,
        from: &[u8],
        other: &mut Client,
        to: &[u8],
        appends: bool,
        limit: Duration,
    ) -> Result<Between, Error> {
        let (source, target) = (self.path(from).await?, other.path(to).await?);
        let take = if appends { Command::Appe(target) } else { Command::Stor(target) };
        self.ready().await?;
        other.ready().await?;
        let part = client_part(self, other).await?;
        // Who has no such file says so before the other one begins to write.
        let size = self.size_if_there(from).await?;
        for client in [&mut *self, &mut *other] {
            client.run(Request::Representation(Representation::Image)).await?;
            client.run(Request::Protect).await?;
        }
        let arranged = match arrange(other, self, part == Some(Part::Target)).await {
            Err(Error::Refused { .. } | Error::Protocol { .. }) => {
                arrange(self, other, part == Some(Part::Source)).await
            }
            result => result,
        };
        arranged?;
        let done = self.pair(Command::Retr(source), other, take, limit).await;
        if done.is_err() {
            // What the one has said counts. Where a server cannot be stopped its session is begun anew by the next call.
            let _ = self.ready().await;
            let _ = other.ready().await;
        }
        let (sent, taken) = done?;
        for client in [&mut *self, &mut *other] {
            if client.strays {
                client.raw("SSCN OFF").await?;
                client.strays = false;
            }
        }
        let there = if appends { None } else { other.size_if_told(to).await? };
        if let (Some(here), Some(there)) = (size, there)
            && here != there
        {
            let why =
                format!("the file has {here} bytes, and {there} have arrived, though both servers answered {taken}");
            return Err(Error::Protocol { phase: Phase::FinalReply, why });
        }
        Ok(Between { sent, taken, size: size.filter(|_| there.is_some()) })
    }

    /// The size that the server tells, where it tells any; a refusal because there is no such file counts.
    async fn size_if_there(&mut self, path: &[u8]) -> Result<Option<u64>, Error> {
        match self.size(path).await {
            Ok(size) => Ok(Some(size)),
            Err(Error::Refused { reply, .. }) if reply.code() != 550 => Ok(None),
            Err(Error::Protocol { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends both commands, and waits for the final replies of both, or for a refusal of either.
    async fn pair(
        &mut self,
        send: Command,
        other: &mut Client,
        take: Command,
        limit: Duration,
    ) -> Result<(Reply, Reply), Error> {
        let send = self.link.start(Request::Elsewhere(send));
        let take = other.link.start(Request::Elsewhere(take));
        let (mut sent, mut taken) = (None, None);
        let both = poll_fn(|cx| {
            poll_reply(cx, self, send, &mut sent)?;
            poll_reply(cx, other, take, &mut taken)?;
            match (&sent, &taken) {
                (Some(sent), Some(taken)) => Poll::Ready(Ok((Reply::clone(sent), Reply::clone(taken)))),
                _ => Poll::Pending,
            }
        });
        let what = "the servers have not come to an end".to_owned();
        let late = |_| Error::Timeout { phase: Phase::Transfer, what, after: limit };
        tokio::time::timeout(limit, both).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn raw(&mut self, line: &'static str) -> Result<Reply, Error> {
        let reply = reply(self.link.run(Request::Raw(Text::new(line)?)).await?)?;
        if reply.code().is_error() {
            return Err(Error::Refused { phase: Phase::DataOpen, verb: line, reply: Box::new(reply) });
        }
        Ok(reply)
    }
}

/// Who plays the client's part in TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Source,
    Target,
}

/// Finds one who can, where files are to be protected.
async fn client_part(source: &mut Client, target: &mut Client) -> Result<Option<Part>, Error> {
    match (source.link.session().protects_data(), target.link.session().protects_data()) {
        (false, false) => return Ok(None),
        (true, true) => {}
        _ => {
            return Err(Error::Usage(
                "files are to be protected in one session and not in the other: set both alike (set_protect_data)",
            ));
        }
    }
    for (client, part) in [(target, Part::Target), (source, Part::Source)] {
        let features = client.features().await?;
        if features.has("CPSV") || features.has("SSCN") {
            return Ok(Some(part));
        }
    }
    Err(Error::Usage(
        "neither server can play the client's part in TLS (CPSV, SSCN): without protection (set_protect_data) it may go",
    ))
}

/// Has one listen, and tells the other where. The one that listens is the TLS client, where it is to be.
async fn arrange(listens: &mut Client, connects: &mut Client, as_client: bool) -> Result<(), Error> {
    let at = listens.peer_addr();
    let ipv4 = addr::canonical(at).is_ipv4();
    let cpsv = as_client && ipv4 && listens.features().await?.has("CPSV");
    if as_client && !cpsv {
        // Until it is off again the session is of no other use.
        listens.strays = true;
        listens.raw("SSCN ON").await?;
    }
    let told = if cpsv {
        listens.raw("CPSV").await?
    } else if ipv4 {
        reply(listens.link.run(Request::Command(Command::Pasv, None)).await?)?
    } else {
        reply(listens.link.run(Request::Command(Command::Epsv(Epsv::Same), None)).await?)?
    };
    let port = match ipv4 {
        true => addr::parse_pasv(told.text()).map(|to| to.port()),
        false => addr::parse_epsv(told.text()),
    };
    let why = || format!("no port in the reply {told}");
    let port = port.map_err(|_| Error::Protocol { phase: Phase::DataOpen, why: why() })?;
    // The port is the server's, the address its control connection's: nobody is sent to a third.
    let command = match addr::canonical(SocketAddr::new(at.ip(), port)) {
        SocketAddr::V4(to) => Command::Port(to),
        to @ SocketAddr::V6(_) => Command::Eprt(to),
    };
    reply(connects.run(Request::Command(command, None)).await?).map(drop)
}

/// Looks for the final reply of one of them.
fn poll_reply(cx: &mut Context<'_>, client: &mut Client, job: JobId, reply: &mut Option<Reply>) -> Result<(), Error> {
    if reply.is_none()
        && let Poll::Ready(result) = client.link.poll_finish(cx, job)
    {
        match result? {
            Answer::Transferred(last) => *reply = Some(last),
            _ => return Err(Error::Usage("the transfer was stopped")),
        }
    }
    Ok(())
}
