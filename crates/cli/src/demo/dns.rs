//! The name server of the demo: authoritative for any-domain.com, and for nothing else.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// The zone.
const ZONE: &str = "any-domain.com.";

/// How long an answer may be kept, in seconds.
const TTL: u32 = 300;

/// Answers queries until it is dropped. `server` is the address of ftp.any-domain.com.
pub(super) async fn serve(socket: UdpSocket, server: Ipv4Addr) {
    // RFC 1035 section 2.3.4: no query over UDP is longer.
    let mut buffer = [0; 512];
    loop {
        let (n, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!("DNS: {error}");
                continue;
            }
        };
        if let Some(answer) = answer(buffer.get(..n).unwrap_or_default(), server)
            && let Err(error) = socket.send_to(&answer, peer).await
        {
            tracing::debug!("DNS: {error}");
        }
    }
}

/// The answer to a query; nothing for what is none.
fn answer(query: &[u8], server: Ipv4Addr) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok().filter(|query| query.metadata.message_type == MessageType::Query)?;
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    let zone = Name::from_ascii(ZONE).ok()?;
    match query.queries.as_slice() {
        _ if query.metadata.op_code != OpCode::Query => answer.metadata.response_code = ResponseCode::NotImp,
        [question] => {
            answer.add_query(question.clone());
            let host = Name::from_ascii("ftp").ok()?.append_domain(&zone).ok()?;
            if !zone.zone_of(question.name()) || question.query_class() != DNSClass::IN {
                answer.metadata.response_code = ResponseCode::Refused;
            } else if *question.name() != host {
                answer.metadata.authoritative = true;
                answer.metadata.response_code = ResponseCode::NXDomain;
            } else {
                answer.metadata.authoritative = true;
                if matches!(question.query_type(), RecordType::A | RecordType::ANY) {
                    // The name as it was asked for: some clients vary its case and want it back (0x20 encoding).
                    answer.add_answer(Record::from_rdata(question.name().clone(), TTL, RData::A(A(server))));
                }
            }
        }
        _ => answer.metadata.response_code = ResponseCode::FormErr,
    }
    answer.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;

    use super::*;

    fn ask(name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let answer = answer(&query.to_vec().unwrap(), Ipv4Addr::new(127, 0, 21, 21)).unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.id, query.metadata.id);
        answer
    }

    #[test]
    fn the_address_of_the_server() {
        let got = ask("FTP.any-domain.com.", RecordType::A);
        assert!(got.metadata.authoritative && got.metadata.recursion_desired);
        assert_eq!(got.answers.len(), 1);
        assert_eq!(got.answers[0].data, RData::A(A(Ipv4Addr::new(127, 0, 21, 21))));
    }

    #[test]
    fn what_it_does_not_have() {
        let none = ask("ftp.any-domain.com.", RecordType::AAAA);
        assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        assert_eq!(ask("www.any-domain.com.", RecordType::A).metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(ask("example.org.", RecordType::A).metadata.response_code, ResponseCode::Refused);
    }

    #[test]
    fn noise_gets_no_answer() {
        for noise in [&b""[..], b"\0", &[0xff; 40]] {
            assert_eq!(answer(noise, Ipv4Addr::LOCALHOST), None);
        }
    }
}
