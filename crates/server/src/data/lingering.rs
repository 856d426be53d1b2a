//! Data connections that nobody needs any more, and that stay open for a moment all the same.
//!
//! A client whose command was refused, or whose upload was ended, learns why from the reply. Many look at the data connection
//! first: one that is closed before they have read the reply is a broken network to them, and they never tell their users
//! that the disk is full. Bytes that arrive at a socket that nobody reads make it worse, for the RST that answers them ends
//! the client's own writes. So the reply goes out at once, and the connection lingers beside it: until the client ends it,
//! the next operation begins, or the time is over. A session has one such connection at the most, and takes it along.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::data::connection::DataConnection;
use crate::data::passive::Passive;

/// For so long the client of a command that was refused may read the reply. It has nothing to send.
const REFUSED: Duration = Duration::from_secs(2);

/// For so long an upload may go on that was ended: a client that does not look at its control connection meanwhile has
/// to send all of the file before it knows. What takes longer is cut off.
const ENDED: Duration = Duration::from_secs(10);

/// A connection that lingers. Dropped, it is closed.
pub(crate) struct Lingering(JoinHandle<()>);

impl Lingering {
    /// The connection for a command that was refused, where it has come or is about to.
    pub(crate) fn refused(passive: Passive) -> Lingering {
        let linger = async {
            if let Some(mut standing) = passive.come().await {
                standing.until_client_ends().await;
            }
        };
        Lingering(tokio::spawn(async { drop(timeout(REFUSED, linger).await) }))
    }

    /// The connection of an upload of which no more is wanted.
    pub(crate) fn ended(data: Box<DataConnection>) -> Lingering {
        Lingering(tokio::spawn(async { drop(timeout(ENDED, data.discard()).await) }))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;
    use crate::data::connection::loopback;
    use crate::data::ports::PassivePorts;
    use crate::proxy::{Ends, Proxies};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn listen() -> Passive {
        let here = SocketAddr::from((HERE, 0));
        let (ports, ends) = (PassivePorts::new(None, Arc::default()), Ends { peer: here, server: here, local: here });
        Passive::listen(&ports, &Proxies::default(), ends, None, None, Duration::MAX).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn for_a_moment_and_no_longer() {
        let passive = listen();
        let mut client = TcpStream::connect(passive.addr()).await.unwrap();
        let began = Instant::now();
        let lingering = Lingering::refused(passive);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(began.elapsed() >= REFUSED && began.elapsed() < 2 * REFUSED);
        drop(lingering);
        // A client that never ends, and reads nothing.
        let (mut data, mut client) = loopback().await;
        data.end_early();
        let began = Instant::now();
        let _lingering = Lingering::ended(Box::new(data));
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(began.elapsed(), Duration::ZERO, "it is told at once");
        while client.write_all(b"more").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() >= ENDED && began.elapsed() < 2 * ENDED);
    }

    #[tokio::test]
    async fn until_the_client_ends_it_or_it_is_let_go_of() {
        let passive = listen();
        let client = TcpStream::connect(passive.addr()).await.unwrap();
        let mut lingering = Lingering::refused(passive);
        drop(client);
        (&mut lingering.0).await.unwrap();

        let passive = listen();
        let mut client = TcpStream::connect(passive.addr()).await.unwrap();
        drop(Lingering::refused(passive));
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);

        let (data, mut client) = loopback().await;
        let mut lingering = Lingering::ended(Box::new(data));
        client.write_all(&[0; 1_000_000]).await.unwrap();
        drop(client);
        (&mut lingering.0).await.unwrap();
    }
}
