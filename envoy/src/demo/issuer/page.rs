//! The sign-in page: plain HTML that works without scripts, by keyboard and with a screen
//! reader.

/// The style sheet, served beside the page so that the page's policy can forbid inline code.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;font:1.05rem/1.5 system-ui,sans-serif}
body{margin:0;display:grid;place-items:center;min-height:100vh}
main{box-sizing:border-box;width:min(26rem,100%);padding:1.5rem}
label{display:block;margin-top:1rem;font-weight:600}
input{box-sizing:border-box;width:100%;padding:.6rem;font:inherit;margin-top:.25rem}
.code{letter-spacing:.15em;text-transform:uppercase}
.actions{display:flex;gap:.75rem;margin-top:1.5rem}
button{flex:1;padding:.7rem;font:inherit;cursor:pointer}
:focus-visible{outline:3px solid #2563eb;outline-offset:2px}
.note{opacity:.8;font-size:.9rem}
";

/// What the form shows.
pub(super) struct Form<'a> {
    pub(super) user_code: &'a str,
    pub(super) user: &'a str,
    pub(super) csrf: &'a str,
    /// What was wrong with the last attempt.
    pub(super) fault: Option<&'a str>,
    /// Who asks, and for what; known once the code is.
    pub(super) asks: Option<(&'a str, &'a str)>,
}

impl Form<'_> {
    pub(super) fn html(&self) -> String {
        let fault = self.fault.map(|f| format!("<p role=\"alert\">{}</p>", escaped(f)));
        let asks = self.asks.map(|(client, scopes)| {
            let (client, scopes) = (escaped(client), escaped(scopes));
            format!("<p><strong>{client}</strong> asks to sign in as you, with <code>{scopes}</code>.</p>")
        });
        let body = format!(
            "<h1>Sign in</h1>{fault}{asks}\
             <form method=\"post\" action=\"/device\">\
             <input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\
             <label for=\"user_code\">Code shown on your device</label>\
             <input class=\"code\" id=\"user_code\" name=\"user_code\" value=\"{code}\" required \
             autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"20\">\
             <label for=\"user\">Your name</label>\
             <input id=\"user\" name=\"user\" value=\"{user}\" required maxlength=\"64\" \
             autocomplete=\"username\" aria-describedby=\"hint\">\
             <p class=\"note\" id=\"hint\">This is the demo's own identity provider: any name will do, \
             there is no password.</p>\
             <p class=\"note\">Only continue if you started this sign-in yourself and the code is the one \
             you see.</p>\
             <div class=\"actions\">\
             <button name=\"decision\" value=\"approve\">Sign in</button>\
             <button name=\"decision\" value=\"deny\" formnovalidate>Deny</button>\
             </div></form>",
            fault = fault.unwrap_or_default(),
            asks = asks.unwrap_or_default(),
            csrf = escaped(self.csrf),
            code = escaped(self.user_code),
            user = escaped(self.user),
        );
        document("Sign in", &body)
    }
}

/// A page that ends the sign-in.
pub(super) fn done(heading: &str, text: &str) -> String {
    let (heading, text) = (escaped(heading), escaped(text));
    document(&heading, &format!("<h1>{heading}</h1><p role=\"status\">{text}</p>"))
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title} - Attach Gateway demo</title>\
         <link rel=\"stylesheet\" href=\"/device.css\"></head><body><main>{body}</main></body></html>"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_shown_as_text() {
        let nasty = "\"><script>alert('x')</script>&";
        let form = Form {
            user_code: nasty,
            user: nasty,
            csrf: nasty,
            fault: Some(nasty),
            asks: Some((nasty, nasty)),
        };
        for html in [form.html(), done(nasty, nasty)] {
            assert!(!html.contains("<script"), "{html}");
            assert!(!html.contains("\"\">"), "{html}");
        }
    }
}
