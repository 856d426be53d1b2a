//! Names: queries and answers, what is asked, from where, and what is told of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use port21_client::{Client, Error, IpFamily, Phase, Timeouts};
use port21_proto::event::{EventKind, Purpose};
use tokio::net::UdpSocket;

use crate::common::{Log, Server};

/// A name server that knows `ftp.any-domain.com`, and lets so many queries go by first.
struct NameServer {
    socket: UdpSocket,
    addr: SocketAddr,
    deaf: usize,
}

impl NameServer {
    async fn start(deaf: usize) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        NameServer { socket, addr, deaf }
    }

    /// Answers for ever; each query's sender and record type are put down.
    async fn run(self, asked: &std::cell::RefCell<Vec<(SocketAddr, RecordType)>>) {
        let mut buffer = [0; 1500];
        loop {
            let (len, from) = self.socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..len]).unwrap();
            let question = query.queries[0].clone();
            asked.borrow_mut().push((from, question.query_type));
            if asked.borrow().len() <= self.deaf {
                continue;
            }
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.add_query(question.clone());
            answer.metadata.recursion_desired = query.metadata.recursion_desired;
            let known = Name::from_ascii("ftp.any-domain.com.").unwrap();
            if question.name != known {
                answer.metadata.response_code = ResponseCode::NXDomain;
            } else if question.query_type == RecordType::A {
                answer.add_answer(Record::from_rdata(known, 60, RData::A(A(Ipv4Addr::LOCALHOST))));
            }
            self.socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    }
}

fn free_udp_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn one_query_from_a_fixed_port_and_again_where_it_is_lost() {
    for deaf in [0, 1] {
        let server = Server::start().await;
        let names = NameServer::start(deaf).await;
        let (dns, port) = (names.addr, free_udp_port());
        let asked = Default::default();
        let log = Log::default();
        let builder = log.attach(server.client()).host("ftp.any-domain.com").ip_family(IpFamily::V4);
        let builder = builder.dns(dns).dns_local_port(port);
        let play = async { tokio::join!(server.login(), builder.open()).1.unwrap() };
        let client = tokio::select! {
            client = play => client,
            () = names.run(&asked) => unreachable!(),
        };
        assert_eq!(client.peer_addr(), server.addr);
        let local = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(asked.take(), vec![(local, RecordType::A); deaf + 1]);

        let kinds = log.kinds();
        let EventKind::Opened(connection) = &kinds[0] else { panic!("{kinds:?}") };
        assert_eq!((connection.purpose, connection.client, connection.server), (Purpose::Dns, Some(local), Some(dns)));
        let EventKind::DnsQuery { connection, id, name, record, recursion_desired } = &kinds[1] else {
            panic!("{kinds:?}")
        };
        assert_eq!(
            (connection.0, name.as_str(), record.as_str(), *recursion_desired),
            (1, "ftp.any-domain.com", "A", true)
        );
        let answers: Vec<_> = kinds.iter().filter(|k| matches!(k, EventKind::DnsAnswer { .. })).collect();
        let [EventKind::DnsAnswer { id: answered, code, answers, .. }] = answers.as_slice() else {
            panic!("{kinds:?}")
        };
        assert_eq!((answered, code.as_str(), answers.as_slice()), (id, "NOERROR", &["127.0.0.1".to_owned()][..]));
    }
}

#[tokio::test]
async fn names_that_lead_nowhere() {
    let names = NameServer::start(0).await;
    let silent = NameServer::start(usize::MAX).await;
    let (dns, deaf) = (names.addr, silent.addr);
    let asked = Default::default();
    let resolve = Duration::from_millis(50);
    let play = async {
        let error = Client::builder().host("no.such.name").dns(dns).connect().await.unwrap_err();
        assert!(error.to_string().contains("there is no such name"), "{error}");
        assert_eq!(error.phase(), Some(Phase::Resolve));
        let v6 = Client::builder().host("ftp.any-domain.com").dns(dns).ip_family(IpFamily::V6);
        let error = v6.connect().await.unwrap_err();
        assert!(error.to_string().contains("the name has no address"), "{error}");
        let timeouts = Timeouts { resolve, ..Timeouts::default() };
        let error = Client::builder().host("a.example").dns(deaf).timeouts(timeouts).connect().await.unwrap_err();
        assert!(error.to_string().contains("no answer within 50ms"), "{error}");
        let error = Client::builder().host("::1").ip_family(IpFamily::V4).connect().await.unwrap_err();
        assert!(matches!(error, Error::Resolve { .. }), "{error}");
    };
    tokio::select! {
        () = play => {}
        () = names.run(&asked) => {}
        () = silent.run(&asked) => {}
    }
}

#[tokio::test]
async fn a_system_without_help_knows_localhost() {
    let server = Server::start().await;
    let builder = server.client().host("localhost").ip_family(IpFamily::V4);
    let (_peer, client) = tokio::join!(server.login(), builder.open());
    assert_eq!(client.unwrap().peer_addr(), server.addr);
}
