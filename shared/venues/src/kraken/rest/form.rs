//! Form encoding of parameters.
//!
//! Input: names and values. Output: `a=b&c=d` with everything but unreserved characters escaped. The
//! text is both what is signed and what is sent.

/// Parameters in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(String);

impl Form {
    /// Without parameters.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Adds a parameter.
    pub fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        escape(&mut self.0, name);
        self.0.push('=');
        escape(&mut self.0, value);
    }

    /// Adds a parameter if it has a value.
    pub fn push_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

fn escape(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        let mut form = Form::new();
        form.push("expiretm", "+5");
        form.push("pair", "XBT/USD,ä");
        form.push_some("no", None);
        assert_eq!(form.as_str(), "expiretm=%2B5&pair=XBT%2FUSD%2C%C3%A4");
    }
}
