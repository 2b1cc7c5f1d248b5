#include "COpenSSL.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

int tg_sha256(const uint8_t *message, size_t count, uint8_t digest[TG_SHA256_BYTES]) {
  unsigned int length = 0;
  int done = EVP_Digest(message, count, digest, &length, EVP_sha256(), NULL);
  return done == 1 && length == TG_SHA256_BYTES ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

int tg_sha512(const uint8_t *message, size_t count, uint8_t digest[TG_SHA512_BYTES]) {
  unsigned int length = 0;
  int done = EVP_Digest(message, count, digest, &length, EVP_sha512(), NULL);
  return done == 1 && length == TG_SHA512_BYTES ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

int tg_hmac_sha256(const uint8_t *key, size_t key_count, const uint8_t *message, size_t count,
                   uint8_t digest[TG_SHA256_BYTES]) {
  static const uint8_t none = 0;
  unsigned int length = 0;
  if (key_count > INT_MAX) return TG_CRYPTO_LIBRARY_FAILED;
  // A null key would mean "keep the previous key".
  const uint8_t *bytes = key_count == 0 ? &none : key;
  const uint8_t *done = HMAC(EVP_sha256(), bytes, (int)key_count, message, count, digest, &length);
  return done != NULL && length == TG_SHA256_BYTES ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

int tg_scrypt(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count, int cost_log2,
              uint8_t *key, size_t key_count) {
  if (cost_log2 < 1 || cost_log2 > 16) return TG_CRYPTO_LIBRARY_FAILED;
  int done = EVP_PBE_scrypt((const char *)password, password_count, salt, salt_count, UINT64_C(1) << cost_log2, 8, 1,
                            UINT64_C(72) << 20, key, key_count);
  return done == 1 ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

struct tg_gcm {
  EVP_CIPHER_CTX *context;
  EVP_CIPHER *cipher;
};

tg_gcm *tg_gcm_new(void) {
  tg_gcm *result = calloc(1, sizeof *result);
  if (result == NULL) return NULL;
  result->context = EVP_CIPHER_CTX_new();
  result->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  if (result->context == NULL || result->cipher == NULL) {
    tg_gcm_free(result);
    return NULL;
  }
  return result;
}

void tg_gcm_free(tg_gcm *context) {
  if (context == NULL) return;
  EVP_CIPHER_CTX_free(context->context);
  EVP_CIPHER_free(context->cipher);
  free(context);
}

int tg_gcm_seal(tg_gcm *context, const uint8_t key[TG_AES_KEY_BYTES], const uint8_t nonce[TG_GCM_NONCE_BYTES],
                const uint8_t *associated, size_t associated_count, const uint8_t *plain, size_t count,
                uint8_t *sealed) {
  EVP_CIPHER_CTX *cipher = context->context;
  int written = 0, last = 0;
  if (count > INT_MAX || associated_count > INT_MAX) return TG_CRYPTO_LIBRARY_FAILED;
  int ok = EVP_EncryptInit_ex2(cipher, context->cipher, key, nonce, NULL) == 1 &&
           EVP_EncryptUpdate(cipher, NULL, &written, associated, (int)associated_count) == 1 &&
           EVP_EncryptUpdate(cipher, sealed, &written, plain, (int)count) == 1 &&
           EVP_EncryptFinal_ex(cipher, sealed + written, &last) == 1 && (size_t)(written + last) == count &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TG_GCM_TAG_BYTES, sealed + count) == 1;
  return ok ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

int tg_gcm_open(tg_gcm *context, const uint8_t key[TG_AES_KEY_BYTES], const uint8_t nonce[TG_GCM_NONCE_BYTES],
                const uint8_t *associated, size_t associated_count, const uint8_t *sealed, size_t count,
                uint8_t *plain) {
  EVP_CIPHER_CTX *cipher = context->context;
  int written = 0, last = 0;
  if (count > INT_MAX || associated_count > INT_MAX) return TG_CRYPTO_LIBRARY_FAILED;
  int ok = EVP_DecryptInit_ex2(cipher, context->cipher, key, nonce, NULL) == 1 &&
           EVP_DecryptUpdate(cipher, NULL, &written, associated, (int)associated_count) == 1 &&
           EVP_DecryptUpdate(cipher, plain, &written, sealed, (int)count) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TG_GCM_TAG_BYTES, (void *)(sealed + count)) == 1;
  if (!ok) return TG_CRYPTO_LIBRARY_FAILED;
  if (EVP_DecryptFinal_ex(cipher, plain + written, &last) != 1) {
    OPENSSL_cleanse(plain, count);
    return TG_CRYPTO_NOT_AUTHENTIC;
  }
  return (size_t)(written + last) == count ? TG_CRYPTO_OK : TG_CRYPTO_LIBRARY_FAILED;
}

void tg_wipe(void *buffer, size_t count) { OPENSSL_cleanse(buffer, count); }
