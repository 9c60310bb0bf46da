//! stand-in until the wire branch is there
use crate::api::Seq;
use bytes::Bytes;

#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    pub(crate) json: bool,
    pub(crate) seq_no: Option<Seq>,
    pub(crate) message_id: Option<String>,
}

pub(crate) fn scan(body: &[u8]) -> Scan {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => Scan {
            json: true,
            seq_no: value["seqNo"].as_u64(),
            message_id: value["messageId"].as_str().map(String::from),
        },
        Err(_) => Scan::default(),
    }
}

pub(crate) fn message(
    topic: &str,
    seq: Option<Seq>,
    prev: Option<Seq>,
    id: Option<&str>,
    body: &[u8],
    scan: &Scan,
) -> Bytes {
    let data = if scan.json {
        String::from_utf8_lossy(body).into_owned()
    } else {
        "\"base64\",\"encoding\":\"base64\"".into()
    };
    let mut out = format!("XX{{\"type\":\"message\",\"topic\":{topic:?}");
    if let Some(seq) = seq {
        out += &format!(",\"seqNo\":{seq}");
    }
    if let Some(prev) = prev {
        out += &format!(",\"prevSeqNo\":{prev}");
    }
    if let Some(id) = id {
        out += &format!(",\"messageId\":{id:?}");
    }
    out += &format!(",\"data\":{data}}}");
    out.into()
}

pub(crate) fn gap(topic: &str) -> Bytes {
    format!("XX{{\"type\":\"gap\",\"topic\":{topic:?},\"reason\":\"backbone\"}}").into()
}
