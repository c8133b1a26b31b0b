//! Header maps as Envoy keeps them, and the form in which they cross into the VM.

/// Headers that Envoy keeps once: a second value is joined to the first by a comma.
const INLINE: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":scheme",
    ":status",
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "origin",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// An ordered multi-map with lower-case names and values of any bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// From pairs, in order.
    pub fn new<N: AsRef<str>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut map = Self::default();
        for (name, value) in pairs {
            map.add(name.as_ref(), value);
        }
        map
    }

    /// Appends a value; joins it if Envoy keeps that header once.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let name = name.to_ascii_lowercase();
        let kept_once = INLINE.contains(&name.as_str());
        match self.0.iter_mut().find(|(known, _)| kept_once && *known == name) {
            Some((_, joined)) => {
                joined.push(b',');
                joined.extend_from_slice(value.as_ref());
            }
            None => self.0.push((name, value.as_ref().to_vec())),
        }
    }

    /// Replaces every value of that name.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.0.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// Removes every value of that name.
    pub fn remove(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(known, _)| *known != name);
    }

    /// The first value, as the host's single getter gives it.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value as text; other bytes become replacement characters.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every value of that name.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let name = name.to_ascii_lowercase();
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Every name, in order.
    pub fn names(&self) -> Vec<&str> {
        self.iter().map(|(name, _)| name).collect()
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The pairs as the ABI passes them: a count, the lengths, then NUL-terminated strings.
    pub fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut out = u32_bytes(self.0.len());
        for (name, value) in self.iter() {
            out.extend(u32_bytes(name.len()));
            out.extend(u32_bytes(value.len()));
        }
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// The reverse of [`Headers::encode`]; a malformed text gives an empty map, as in Envoy.
    pub fn decode(bytes: &[u8]) -> Self {
        decode_pairs(bytes).map(Self::new).unwrap_or_default()
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(pairs).finish()
    }
}

fn u32_bytes(number: usize) -> Vec<u8> {
    u32::try_from(number).expect("fits the 32-bit guest").to_le_bytes().to_vec()
}

/// The raw pairs of the ABI's form.
pub fn decode_pairs(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let number = |at: usize| -> Option<usize> {
        let word = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?) as usize)
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut pairs = Vec::new();
    for index in 0..count {
        let (name, value) = (number(4 + index * 8)?, number(8 + index * 8)?);
        let text = bytes.get(at..at + name)?;
        at += name + 1;
        let raw = bytes.get(at..at + value)?;
        at += value + 1;
        pairs.push((String::from_utf8(text.to_vec()).ok()?, raw.to_vec()));
    }
    Some(pairs)
}
