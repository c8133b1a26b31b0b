//! What the person is told: always on stderr, because stdout carries the token alone.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Where to go, and the code to type there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Address to open.
    pub address: String,
    /// What to type at that address.
    pub user_code: String,
    /// An address that has the code in it.
    pub complete: Option<String>,
}

/// Talks to the person who signs in.
pub trait Prompt {
    /// Says where to go.
    fn show(&self, code: &Code);
    /// Says anything else that is worth a line.
    fn note(&self, text: &str);
}

/// Standard error; with a QR code if it is a terminal.
pub struct Stderr;

impl Prompt for Stderr {
    fn show(&self, code: &Code) {
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to tell if stderr is gone.
        let _ = stderr.write_all(text(code, stderr.is_terminal()).as_bytes());
    }

    fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn text(code: &Code, terminal: bool) -> String {
    let mut text = format!(
        "To sign in, open\n\n    {}\n\nand enter the code\n\n    {}\n",
        code.address, code.user_code
    );
    if let Some(complete) = &code.complete {
        let _ =
            write!(text, "\nor open this address, which has the code in it:\n\n    {complete}\n");
        if terminal && let Some(qr) = picture(complete) {
            let _ = write!(text, "\n{qr}\n");
        }
    }
    text.push_str("\nWaiting for you to finish there ...\n");
    text
}

/// The address as a QR code of half blocks; none if it does not fit into one.
fn picture(address: &str) -> Option<String> {
    let code = QrCode::new(address.as_bytes()).ok()?;
    // The blocks are the light modules, in white on black whatever the terminal's colours
    // are: scanners expect dark on light.
    let mut image = code.render::<Dense1x2>();
    let image = image.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let lines = image.lines().map(|line| format!("    \x1b[97;40m{line}\x1b[0m\n"));
    Some(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_has_everything_and_a_picture_only_on_a_terminal() {
        let mut code = Code {
            address: "https://id.example.com/device".to_owned(),
            user_code: "BCDF-GHJK".to_owned(),
            complete: Some("https://id.example.com/device?user_code=BCDF-GHJK".to_owned()),
        };
        let plain = text(&code, false);
        assert!(plain.contains("    https://id.example.com/device\n"), "{plain}");
        assert!(plain.contains("    BCDF-GHJK\n"), "{plain}");
        assert!(
            plain.contains("    https://id.example.com/device?user_code=BCDF-GHJK\n"),
            "{plain}"
        );
        assert!(plain.is_ascii(), "{plain}");
        assert!(text(&code, true).contains('█'));
        code.complete = None;
        assert!(text(&code, true).is_ascii());
    }
}
