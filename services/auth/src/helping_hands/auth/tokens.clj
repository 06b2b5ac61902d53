(ns helping-hands.auth.tokens
  "Tokens: who it is and until when, sealed as a compact JWE (RFC 7516), so that only a holder of the key can make or
  read one. Permissions are not in it: they are looked up when asked for, so that a change counts at once."
  (:import (com.nimbusds.jose EncryptionMethod JOSEException JWEAlgorithm JWEHeader)
           (com.nimbusds.jose.crypto AESDecrypter AESEncrypter)
           (com.nimbusds.jwt EncryptedJWT JWTClaimsSet JWTClaimsSet$Builder)
           (java.text ParseException)
           (java.time Instant)
           (java.time.temporal ChronoUnit)
           (java.util Date)))

(def ^:private algorithm JWEAlgorithm/A128KW)
(def ^:private method EncryptionMethod/A128CBC_HS256)

(defn issue
  "A token for user `uid`, good from the Instant `now` for a lifetime: {:token string, :expires Instant}."
  [{:keys [^bytes key token]} ^String uid ^Instant now]
  (let [expires (.plusSeconds (.truncatedTo now ChronoUnit/SECONDS) (:lifetime-seconds token))
        claims  (-> (JWTClaimsSet$Builder.)
                    (.subject uid)
                    (.issueTime (Date/from now))
                    (.expirationTime (Date/from expires))
                    (.build))
        jwe     (doto (EncryptedJWT. (JWEHeader. algorithm method) claims)
                  (.encrypt (AESEncrypter. key)))]
    {:token (.serialize jwe), :expires expires}))

(defn- opened
  "The claims in `text`, or nil when it is no token of ours."
  ^JWTClaimsSet [^bytes key ^String text]
  (try
    (let [jwe    (EncryptedJWT/parse text)
          header (.getHeader jwe)]
      (when (and (= algorithm (.getAlgorithm header)) (= method (.getEncryptionMethod header)))
        (.decrypt jwe (AESDecrypter. key))
        (.getJWTClaimsSet jwe)))
    (catch ParseException _ nil)
    (catch JOSEException _ nil)
    (catch NullPointerException _ nil)))                  ; what Nimbus 9 makes of a header without alg

(defn subject
  "The user that `text` is a token of, or nil when it is none of ours or had expired by the Instant `now`."
  [{:keys [key token]} text ^Instant now]
  (when-let [claims (opened key text)]
    (when-let [expires (.getExpirationTime claims)]
      (when (.isBefore now (.plusSeconds (.toInstant expires) (:skew-seconds token)))
        (.getSubject claims)))))
