//! A request as the REST handlers see it, and the answers they give. Bodies arrive
//! as JSON or as a form with `payload_json` and files.
//! <https://docs.discord.com/developers/reference#uploading-files>

use std::collections::HashMap;
use std::str::FromStr;

use serde_json::Value;

use super::refusal::Refusal;

/// A file that came with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Upload {
    /// The `n` of `files[n]`.
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Vec<u8>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// The `{…}` parts of the path.
    pub(crate) params: HashMap<&'static str, String>,
    pub(crate) query: HashMap<String, String>,
    /// Null where there is none.
    pub(crate) body: Value,
    pub(crate) files: Vec<Upload>,
}

/// What is answered: the status, and a body unless it is 204.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
}

pub(crate) type Outcome = Result<Reply, Refusal>;

pub(crate) fn ok(body: Value) -> Outcome {
    Ok(Reply { status: 200, body: Some(body) })
}

pub(crate) fn created(body: Value) -> Outcome {
    Ok(Reply { status: 201, body: Some(body) })
}

pub(crate) fn nothing() -> Outcome {
    Ok(Reply { status: 204, body: None })
}

impl Call {
    /// An id in the path.
    pub(crate) fn id(&self, name: &str) -> Result<u64, Refusal> {
        let text = self.params.get(name).map_or("", String::as_str);
        text.parse().map_err(|_| not_an_id(name, text))
    }

    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A value of the query, if it is there.
    pub(crate) fn query<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let value = self.query.get(name);
        value.map(|text| text.parse().map_err(|_| not_an_id(name, text))).transpose()
    }

    pub(crate) fn asks(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// A text of the body; none where it is left out or null.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.body.get(name).and_then(Value::as_u64)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.body.get(name).and_then(Value::as_bool)
    }
}

fn not_an_id(name: &str, text: &str) -> Refusal {
    Refusal::form(name, "NUMBER_TYPE_COERCE", &format!("Value \"{text}\" is not snowflake."))
}

/// A number that Discord writes as a string; older clients as a number.
pub(crate) fn id_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A list of ids in a body.
pub(crate) fn ids_of(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(id_of).collect()
}

/// The body of a request: its JSON, and its files.
pub(crate) fn parse_body(
    content_type: &str,
    bytes: &[u8],
) -> Result<(Value, Vec<Upload>), Refusal> {
    if bytes.is_empty() {
        return Ok((Value::Null, Vec::new()));
    }
    let broken = |_| Refusal::of(50109);
    match content_type.split_once("boundary=") {
        None => Ok((serde_json::from_slice(bytes).map_err(broken)?, Vec::new())),
        Some((_, boundary)) => {
            let mut json = Value::Null;
            let mut files = Vec::new();
            for part in parts(bytes, boundary.trim_matches('"')) {
                if part.number == "payload_json" {
                    json = serde_json::from_slice(&part.bytes).map_err(broken)?;
                } else {
                    files.push(part);
                }
            }
            Ok((json, files))
        }
    }
}

/// The parts of a multipart form; `number` holds the field's name where it is no file.
fn parts(bytes: &[u8], boundary: &str) -> Vec<Upload> {
    let mark = format!("--{boundary}");
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], mark.as_bytes()) {
        starts.push(at + found);
        at += found + mark.len();
    }
    let chunks = starts.windows(2).map(|pair| &bytes[pair[0] + mark.len() + 2..pair[1] - 2]);
    chunks.filter_map(part).collect()
}

fn part(chunk: &[u8]) -> Option<Upload> {
    let end = find(chunk, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&chunk[..end]).into_owned();
    let after = |mark: &str, until: char| {
        let (_, rest) = head.split_once(mark)?;
        Some(rest.split(until).next().unwrap_or_default().to_owned())
    };
    let field = after(" name=\"", '"')?;
    let number = field.strip_prefix("files[").map(|rest| rest.trim_end_matches(']').to_owned());
    Some(Upload {
        number: number.unwrap_or(field),
        name: after("filename=\"", '"').unwrap_or_default(),
        content_type: after("Content-Type: ", '\r')
            .or_else(|| after("content-type: ", '\r'))
            .unwrap_or_else(|| "application/octet-stream".into()),
        bytes: chunk[end + 4..].to_vec(),
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
