#pragma once
// The few primitives of libcrypto that the house uses, each as one call with plain buffers.
#include <stddef.h>
#include <stdint.h>

enum {
  TG_AES_KEY_BYTES = 32,
  TG_GCM_NONCE_BYTES = 12,
  TG_GCM_TAG_BYTES = 16,
  TG_SHA256_BYTES = 32,
  TG_SHA512_BYTES = 64,
};

// The result of a call: a failed tag check is not an error of the library.
enum {
  TG_CRYPTO_OK = 0,
  TG_CRYPTO_LIBRARY_FAILED = -1,
  TG_CRYPTO_NOT_AUTHENTIC = -2,
};

/// SHA-256 (FIPS 180-4).
int tg_sha256(const uint8_t *message, size_t count, uint8_t digest[TG_SHA256_BYTES]);

/// SHA-512 (FIPS 180-4).
int tg_sha512(const uint8_t *message, size_t count, uint8_t digest[TG_SHA512_BYTES]);

/// HMAC-SHA-256 (RFC 2104).
int tg_hmac_sha256(const uint8_t *key, size_t key_count, const uint8_t *message, size_t count,
                   uint8_t digest[TG_SHA256_BYTES]);

/// scrypt (RFC 7914) with N = 2^`cost_log2`, r = 8, p = 1: memory of 1024 * N bytes, at most 64 MiB.
int tg_scrypt(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count, int cost_log2,
              uint8_t *key, size_t key_count);

/// A reusable cipher context; NULL when the library has no memory. One thread at a time.
typedef struct tg_gcm tg_gcm;
tg_gcm *tg_gcm_new(void);
void tg_gcm_free(tg_gcm *context);

/// AES-256-GCM (NIST SP 800-38D). Writes `count` bytes of ciphertext and then the tag of 16 bytes to `sealed`.
int tg_gcm_seal(tg_gcm *context, const uint8_t key[TG_AES_KEY_BYTES], const uint8_t nonce[TG_GCM_NONCE_BYTES],
                const uint8_t *associated, size_t associated_count, const uint8_t *plain, size_t count,
                uint8_t *sealed);

/// The reverse: `sealed` holds `count` bytes of ciphertext and then the tag. `plain` is wiped when the tag is wrong.
int tg_gcm_open(tg_gcm *context, const uint8_t key[TG_AES_KEY_BYTES], const uint8_t nonce[TG_GCM_NONCE_BYTES],
                const uint8_t *associated, size_t associated_count, const uint8_t *sealed, size_t count,
                uint8_t *plain);

/// Overwrites a buffer in a way that the compiler keeps.
void tg_wipe(void *buffer, size_t count);

/// Somebody for whom data is sealed: the public key of a certificate (PEM). NULL when there is none in `pem`.
typedef struct tg_recipient tg_recipient;
tg_recipient *tg_recipient_new(const uint8_t *pem, size_t count);
void tg_recipient_free(tg_recipient *recipient);

/// Seals `plain` as a CMS message in DER (AuthEnvelopedData, RFC 5083, with AES-256-GCM; RSA keys under OAEP with
/// SHA-256, EC keys by ECDH). `sealed` must be given back with `tg_recipient_release`.
int tg_recipient_seal(const tg_recipient *recipient, const uint8_t *plain, size_t count, uint8_t **sealed,
                      size_t *sealed_count);
void tg_recipient_release(uint8_t *sealed);

/// A new EC key on P-256 (FIPS 186-4) as PKCS #8 PEM without a passphrase. Writes at most `size` bytes, no zero at the end;
/// returns their number or TG_CRYPTO_LIBRARY_FAILED.
long tg_key_new(char *pem, size_t size);

/// A certificate request (RFC 2986) for the key `key_pem` with the subject `CN=common_name`, signed with SHA-256, as PEM.
/// Returns its length, TG_CRYPTO_LIBRARY_FAILED, or TG_CRYPTO_NOT_AUTHENTIC when `key_pem` is no private key in PEM.
long tg_request_new(const char *key_pem, size_t key_count, const char *common_name, char *pem, size_t size);

/// What `tg_certificate_examine` found.
struct tg_certificate {
  /// Seconds since 1970.
  int64_t not_before, not_after;
  /// Of the subject, UTF-8; empty when there is none. Names longer than this are cut.
  char common_name[128];
  char issuer[256];
  /// 1 yes, 0 no, -1 not asked.
  int fits_key;
  /// 0: a chain to `authority_pem` was found (dates left aside); else an X509_V_ERR code; -1 not asked.
  int chain;
};

/// Reads the first certificate of `certificate_pem`; those behind it may stand between it and the authority. `key_pem` and
/// `authority_pem` may be NULL. Returns TG_CRYPTO_OK, or TG_CRYPTO_NOT_AUTHENTIC when a text is not PEM of its kind.
int tg_certificate_examine(const char *certificate_pem, size_t certificate_count, const char *key_pem, size_t key_count,
                           const char *authority_pem, size_t authority_count, struct tg_certificate *found);

/// More certificates than a bundle of authorities has.
enum { TG_CERTIFICATES_MAX = 1024 };

/// The number of certificates in a PEM text, 0 ... TG_CERTIFICATES_MAX - 1; TG_CRYPTO_NOT_AUTHENTIC when one of them cannot be
/// read or there are more.
long tg_certificates_count(const char *pem, size_t count);

/// OpenSSL's words for an X509_V_ERR code.
const char *tg_certificate_error_text(int code);

/// A private key that signs: Ed25519 (RFC 8032), or ECDSA on P-256 with SHA-256 (FIPS 186-4). Many threads at a time.
typedef struct tg_signing_key tg_signing_key;

/// A new Ed25519 key as PKCS #8 PEM without a passphrase. Writes at most `size` bytes, no zero at the end; returns their
/// number or TG_CRYPTO_LIBRARY_FAILED.
long tg_signing_key_new(char *pem, size_t size);

/// NULL when `pem` holds no private key of the two kinds without a passphrase.
tg_signing_key *tg_signing_key_read(const char *pem, size_t count);
void tg_signing_key_free(tg_signing_key *key);

/// Its public half as SubjectPublicKeyInfo in DER, at most `size` bytes; their number or TG_CRYPTO_LIBRARY_FAILED.
long tg_signing_key_public(const tg_signing_key *key, uint8_t *der, size_t size);

/// The signature's bytes, 64 for Ed25519 and DER of at most 72 for P-256; their number or TG_CRYPTO_LIBRARY_FAILED.
long tg_sign(const tg_signing_key *key, const uint8_t *message, size_t count, uint8_t *signature, size_t size);

/// TG_CRYPTO_OK when `signature` over `message` is that of the public key `der`, else TG_CRYPTO_NOT_AUTHENTIC, also for
/// a key of another kind and a point that is not on its curve.
int tg_signature_verify(const uint8_t *der, size_t der_count, const uint8_t *message, size_t count,
                        const uint8_t *signature, size_t signature_count);
