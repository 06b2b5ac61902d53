(ns helping-hands.auth.tokens-test
  (:require [clojure.string :as str]
            [clojure.test :refer [are deftest is]]
            [helping-hands.auth.running :refer [new-key settings]]
            [helping-hands.auth.tokens :as tokens])
  (:import (com.nimbusds.jose EncryptionMethod JWEAlgorithm JWEHeader)
           (com.nimbusds.jose.crypto AESEncrypter DirectEncrypter)
           (com.nimbusds.jwt EncryptedJWT JWTClaimsSet$Builder)
           (java.time Instant)
           (java.util Date)))

(def ^:private ours (settings (new-key)))
(def ^:private now (Instant/parse "2030-01-01T12:00:00Z"))
(def ^:private token (:token (tokens/issue ours "hhuser" now)))

(defn- sealed
  "A token made with our key, but not by us."
  [encrypter algorithm method claims]
  (.serialize (doto (EncryptedJWT. (JWEHeader. algorithm method) (.build claims))
                (.encrypt encrypter))))

(defn- claims [] (-> (JWTClaimsSet$Builder.) (.subject "hhuser") (.expirationTime (Date/from (.plusSeconds now 60)))))

(deftest a-token-is-good-until-it-expires
  (are [seconds uid] (= uid (tokens/subject ours token (.plusSeconds now seconds)))
    0    "hhuser"
    3599 "hhuser"
    3629 "hhuser"                                           ; thirty seconds of skew
    3630 nil
    -5   "hhuser"))                                         ; made by a replica whose clock is ahead

(deftest a-replica-with-the-same-key-accepts-a-token-and-no-other-does
  (is (= "hhuser" (tokens/subject (update ours :key aclone) token now)))
  (is (nil? (tokens/subject (settings (new-key)) token now))))

(deftest a-change-to-any-part-of-a-token-spoils-it
  (let [parts (str/split token #"\.")]
    (doseq [part  (range 5)
            other [#(str (if (str/starts-with? % "A") "B" "A") (subs % 1)) str/reverse #(subs % 4) #(str % "AAAA")
                   (constantly "")]]
      (is (nil? (tokens/subject ours (str/join "." (update parts part other)) now)) (str "part " part)))))

(deftest what-is-no-token-is-nobodys
  (are [text] (nil? (tokens/subject ours text now))
    "" "." "...." "a.b.c.d.e" "e30.e30.e30" "e30.a.b.c.d" "bnVsbA.a.b.c.d" "\u0000.\uffff.é.d.e"))

(deftest our-key-alone-does-not-make-a-token
  (let [key (:key ours)]
    (are [text] (nil? (tokens/subject ours text now))
      (sealed (DirectEncrypter. ^bytes key) JWEAlgorithm/DIR EncryptionMethod/A128GCM (claims))
      (sealed (AESEncrypter. ^bytes key) JWEAlgorithm/A128KW EncryptionMethod/A128GCM (claims))
      (sealed (AESEncrypter. ^bytes key) JWEAlgorithm/A128KW EncryptionMethod/A256CBC_HS512 (claims))
      (sealed (AESEncrypter. ^bytes key) JWEAlgorithm/A128GCMKW EncryptionMethod/A128CBC_HS256 (claims))
      (sealed (AESEncrypter. ^bytes key) JWEAlgorithm/A128KW EncryptionMethod/A128CBC_HS256
              (-> (JWTClaimsSet$Builder.) (.subject "hhuser"))))                      ; for ever
    (is (= "hhuser" (tokens/subject ours (sealed (AESEncrypter. ^bytes key) JWEAlgorithm/A128KW
                                                 EncryptionMethod/A128CBC_HS256 (claims)) now)))))
