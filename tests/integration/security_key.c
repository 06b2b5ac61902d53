/* A FIDO authenticator for tests, as OpenSSH's middleware (SecurityKeyProvider, PROTOCOL.u2f). A key handle is the
 * private key itself, its PIN is 2468, and it is touched when the file $TOUCHED exists. PINs that it is given are
 * appended to the file $PINS. VERSION is the API's. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { ECDSA = 0, ED25519 = 1 };
enum { FAILED = -1, UNSUPPORTED = -2, PIN_REQUIRED = -3 };
enum { PRESENCE_REQUIRED = 1, VERIFICATION_REQUIRED = 4 };

struct enrolled {
    uint8_t flags;
    uint8_t *public_key;
    size_t public_key_size;
    uint8_t *key_handle;
    size_t key_handle_size;
    uint8_t *signature;
    size_t signature_size;
    uint8_t *attestation;
    size_t attestation_size;
    uint8_t *authdata;
    size_t authdata_size;
};

struct signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r;
    size_t r_size;
    uint8_t *s;
    size_t s_size;
};

uint32_t sk_api_version(void) { return VERSION; }

int sk_enroll(uint32_t type, const uint8_t *challenge, size_t challenge_size, const char *application, uint8_t flags,
              const char *pin, void **options, struct enrolled **answer)
{
    EVP_PKEY *key = type == ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
    struct enrolled *made = calloc(1, sizeof *made);

    made->flags = flags;
    made->signature = calloc(1, 1);
    made->key_handle_size = i2d_PrivateKey(key, &made->key_handle);
    if (type == ED25519) {
        made->public_key = malloc(made->public_key_size = 32);
        EVP_PKEY_get_raw_public_key(key, made->public_key, &made->public_key_size);
    } else {
        made->public_key_size = EVP_PKEY_get1_encoded_public_key(key, &made->public_key);
    }
    *answer = made;
    return 0;
}

int sk_sign(uint32_t type, const uint8_t *data, size_t size, const char *application, const uint8_t *handle,
            size_t handle_size, uint8_t flags, const char *pin, void **options, struct signature **answer)
{
    uint8_t message[32 + 1 + 4 + 32], sealed[256];
    size_t sealed_size = sizeof sealed;
    const uint8_t *der = sealed;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &handle, handle_size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct signature *made = calloc(1, sizeof *made);

    if (pin && getenv("PINS")) {
        FILE *given = fopen(getenv("PINS"), "a");
        fprintf(given, "%s\n", pin);
        fclose(given);
    }
    if (getenv("NO_AUTHENTICATOR"))
        return FAILED;
    if ((flags & VERIFICATION_REQUIRED) && !(pin && !strcmp(pin, "2468")))
        return PIN_REQUIRED;
    while ((flags & PRESENCE_REQUIRED) && getenv("TOUCHED") && access(getenv("TOUCHED"), F_OK))
        usleep(10000);
    SHA256((const uint8_t *)application, strlen(application), message);
    message[32] = made->flags = flags;
    memcpy(message + 33, "\0\0\0\7", 4);
    made->counter = 7;
    SHA256(data, size, message + 37);
    if (EVP_DigestSignInit(context, NULL, type == ED25519 ? NULL : EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, sealed, &sealed_size, message, sizeof message) != 1)
        return FAILED;
    if (type == ED25519) {
        made->r = memcpy(malloc(sealed_size), sealed, made->r_size = sealed_size);
    } else {
        ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &der, sealed_size);
        BN_bn2bin(ECDSA_SIG_get0_r(both), made->r = malloc(made->r_size = BN_num_bytes(ECDSA_SIG_get0_r(both))));
        BN_bn2bin(ECDSA_SIG_get0_s(both), made->s = malloc(made->s_size = BN_num_bytes(ECDSA_SIG_get0_s(both))));
    }
    *answer = made;
    return 0;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *count) { return UNSUPPORTED; }
