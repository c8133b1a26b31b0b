#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

/// Written by another process: a file that some thread has open for writing while another
/// forks cannot be run ("text file busy").
fn script(path: &Path, text: &str, mode: &str) -> PathBuf {
    const WRITE: &str =
        "mkdir -p \"$(dirname \"$1\")\" && printf %s \"$2\" > \"$1\" && chmod \"$3\" \"$1\"";
    let status = std::process::Command::new("sh")
        .args(["-c", WRITE, "sh"])
        .arg(path)
        .args([text, mode])
        .status();
    assert!(status.unwrap().success());
    path.to_path_buf()
}

/// A program that answers `--version` with this version.
fn fake(dir: &Path, version: &str) -> PathBuf {
    let line = format!("echo 'envoy  version: abc/{version}/Clean/RELEASE/BoringSSL'");
    script(&dir.join("envoy"), &format!("#!/bin/sh\n{line}\n"), "755")
}

fn options(dir: &Path) -> FindOptions {
    FindOptions {
        configured: None,
        search: Some(dir.join("bin").into_os_string()),
        cache: Some(dir.join("cache")),
        install: false,
    }
}

#[test]
fn versions_are_read_and_ordered() {
    for (output, expected) in [
        ("\nenvoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL\n", Some((1, 40, 0))),
        ("envoy  version: abc/1.36.4/Modified/RELEASE/BoringSSL", Some((1, 36, 4))),
        ("envoy  version: abc/1.41.0-dev/Clean/RELEASE/BoringSSL", Some((1, 41, 0))),
        ("nginx version: nginx/1.22.1", None),
        ("envoy  version: abc/1.40/Clean", None),
        ("envoy  version: abc", None),
        ("", None),
    ] {
        let expected = expected.map(|(major, minor, patch)| Version { major, minor, patch });
        assert_eq!(version::parse(output), expected, "{output}");
    }
    assert!(version::parse("version: a/1.36.4/Clean/RELEASE/BoringSSL").unwrap() > OLDEST);
    assert!(version::parse("version: a/1.9.9/Clean/RELEASE/BoringSSL").unwrap() < OLDEST);
}

#[tokio::test]
async fn the_configured_one_wins_over_path_and_path_over_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let cached = fake(&dir.path().join(format!("cache/envoy-{PINNED}")), "1.40.0");
    let mut options = options(dir.path());
    assert_eq!(find(&options).await.unwrap().path, cached);
    let searched = fake(&dir.path().join("bin"), "1.37.0");
    assert_eq!(find(&options).await.unwrap().path, searched);
    let configured = fake(&dir.path().join("own"), "1.36.4");
    options.configured = Some(configured.clone());
    let found = find(&options).await.unwrap();
    assert_eq!((found.path, found.version.to_string().as_str()), (configured, "1.36.4"));
}

#[tokio::test]
async fn an_unusable_one_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    for (path, part) in [
        (fake(&dir.path().join("old"), "1.35.9"), "is version 1.35.9, 1.36 or newer is needed"),
        (dir.path().join("absent"), "cannot be run"),
        (script(&dir.path().join("data"), "", "644"), "cannot be run"),
        (
            script(&dir.path().join("other"), "#!/bin/sh\necho hello\n", "755"),
            "says no version of Envoy",
        ),
    ] {
        let configured = FindOptions { configured: Some(path.clone()), ..options(dir.path()) };
        let error = find(&configured).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.starts_with("ATTACH_ENVOY: "), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn an_old_one_on_path_is_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    fake(&dir.path().join("bin"), "1.20.0");
    fake(&dir.path().join(format!("cache/envoy-{PINNED}")), "1.40.0");
    let error = find(&options(dir.path())).await.unwrap_err().to_string();
    assert!(error.starts_with("PATH: ") && error.contains("1.20.0"), "{error}");
    assert!(error.contains("ATTACH_ENVOY"), "{error}");
}

#[tokio::test]
async fn without_one_and_without_installing_the_way_out_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = find(&options(dir.path())).await.unwrap_err();
    assert!(matches!(error, FindError::Missing) && error.to_string().contains("ATTACH_ENVOY"));
    let nowhere = FindOptions { cache: None, install: true, ..options(dir.path()) };
    assert!(matches!(find(&nowhere).await.unwrap_err(), FindError::NoCache));
}
