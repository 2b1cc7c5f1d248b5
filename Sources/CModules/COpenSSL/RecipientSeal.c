#include "COpenSSL.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

struct tg_recipient {
  X509 *certificate;
};

tg_recipient *tg_recipient_new(const uint8_t *pem, size_t count) {
  if (count > INT_MAX) return NULL;
  BIO *input = BIO_new_mem_buf(pem, (int)count);
  if (input == NULL) return NULL;
  X509 *certificate = PEM_read_bio_X509(input, NULL, NULL, NULL);
  BIO_free(input);
  if (certificate == NULL) return NULL;
  tg_recipient *recipient = OPENSSL_malloc(sizeof *recipient);
  if (recipient == NULL) {
    X509_free(certificate);
    return NULL;
  }
  recipient->certificate = certificate;
  return recipient;
}

void tg_recipient_free(tg_recipient *recipient) {
  if (recipient == NULL) return;
  X509_free(recipient->certificate);
  OPENSSL_free(recipient);
}

static CMS_ContentInfo *enveloped(const tg_recipient *recipient, BIO *plain) {
  // With an AEAD cipher OpenSSL makes AuthEnvelopedData (RFC 5083): a changed byte is noticed when it is opened.
  CMS_ContentInfo *content = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), CMS_BINARY | CMS_PARTIAL);
  if (content == NULL) return NULL;
  CMS_RecipientInfo *info = CMS_add1_recipient_cert(content, recipient->certificate, CMS_KEY_PARAM);
  EVP_PKEY *key = X509_get0_pubkey(recipient->certificate);
  int ok = info != NULL && key != NULL;
  if (ok && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(info);
    ok = context != NULL && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0;
  }
  if (ok && CMS_final(content, plain, NULL, CMS_BINARY) == 1) return content;
  CMS_ContentInfo_free(content);
  return NULL;
}

int tg_recipient_seal(const tg_recipient *recipient, const uint8_t *plain, size_t count, uint8_t **sealed,
                      size_t *sealed_count) {
  if (count > INT_MAX) return TG_CRYPTO_LIBRARY_FAILED;
  BIO *input = BIO_new_mem_buf(plain, (int)count);
  if (input == NULL) return TG_CRYPTO_LIBRARY_FAILED;
  CMS_ContentInfo *content = enveloped(recipient, input);
  BIO_free(input);
  if (content == NULL) return TG_CRYPTO_LIBRARY_FAILED;
  unsigned char *bytes = NULL;
  int length = i2d_CMS_ContentInfo(content, &bytes);
  CMS_ContentInfo_free(content);
  if (length <= 0) return TG_CRYPTO_LIBRARY_FAILED;
  *sealed = bytes;
  *sealed_count = (size_t)length;
  return TG_CRYPTO_OK;
}

void tg_recipient_release(uint8_t *sealed) { OPENSSL_free(sealed); }
