//! The person at the sign-in page, played by a program: opens the address, fills in the
//! form, presses a button. For the tour and for tests.

use reqwest::{Client, StatusCode, header};

/// What the person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press<'a> {
    /// Signs in under this name.
    SignIn(&'a str),
    /// Presses "Deny".
    Deny,
}

/// The page did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// No answer.
    #[error("the sign-in page does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The page has no form, or its address no code.
    #[error("the sign-in page is not as expected: no {0}")]
    Unexpected(&'static str),
    /// The form was refused.
    #[error("the sign-in page answered {0}")]
    Refused(StatusCode),
}

/// Opens `verification_uri_complete` and decides.
///
/// # Errors
/// See [`VisitError`].
pub async fn visit(client: &Client, complete: &str, press: Press<'_>) -> Result<(), VisitError> {
    let address =
        url::Url::parse(complete).map_err(|_| VisitError::Unexpected("usable address"))?;
    let code = address.query_pairs().find(|(name, _)| name == "user_code");
    let code = code.ok_or(VisitError::Unexpected("code in the address"))?.1.into_owned();

    let page = client.get(address.clone()).send().await?;
    let cookie = page.headers().get(header::SET_COOKIE).and_then(|c| c.to_str().ok());
    let cookie = cookie.and_then(|c| c.split(';').next());
    let cookie = cookie.ok_or(VisitError::Unexpected("cookie"))?.to_owned();
    let html = page.text().await?;
    let csrf = between(&html, "name=\"csrf\" value=\"", "\"");
    let csrf = csrf.ok_or(VisitError::Unexpected("form"))?;

    let (decision, user) = match press {
        Press::SignIn(user) => ("approve", user),
        Press::Deny => ("deny", ""),
    };
    let form = [("csrf", csrf), ("user_code", &code), ("user", user), ("decision", decision)];
    let target = address.join("/device").map_err(|_| VisitError::Unexpected("usable address"))?;
    let answer = client.post(target).header(header::COOKIE, cookie).form(&form).send().await?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        status => Err(VisitError::Refused(status)),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}
