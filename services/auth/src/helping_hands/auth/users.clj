(ns helping-hands.auth.users
  "Users: their passwords, kept as salted PBKDF2 hashes, and their permissions.

  `users` is {name {:permissions #{string}, :password {:iterations int, :salt bytes, :hash bytes}}}."
  (:import (java.security MessageDigest SecureRandom)
           (java.util Base64)
           (javax.crypto SecretKeyFactory)
           (javax.crypto.spec PBEKeySpec)))

(def ^:private hash-bits 256)

(def ^:private iterations "What OWASP's password storage cheat sheet asks of PBKDF2-HMAC-SHA512." 210000)

(defn- pbkdf2 ^bytes [^String password ^bytes salt iterations]
  (let [spec (PBEKeySpec. (.toCharArray password) salt iterations hash-bits)]
    (.getEncoded (.generateSecret (SecretKeyFactory/getInstance "PBKDF2WithHmacSHA512") spec))))

(defn- slowest [users]
  (apply max-key :iterations (map :password (vals users))))

(defn- hashed
  "The password's hash after so many iterations; it takes as long as one of `most`."
  ^bytes [pwd salt iterations most]
  (when (< iterations most) (pbkdf2 pwd salt (- most iterations)))
  (pbkdf2 pwd salt iterations))

(defn authenticate
  "The name of the user whose password this is, or nil. Takes as long for an unknown name as for a known one:
  the password is then compared with somebody's, and refused whatever comes of it."
  [users uid pwd]
  (let [known                          (users uid)
        slowest                        (slowest users)
        {:keys [iterations salt hash]} (:password known slowest)
        same?                          (MessageDigest/isEqual hash (hashed pwd salt iterations (:iterations slowest)))]
    (when (and known same?) uid)))

(defn holds-all?
  "Does the user hold every one of `permissions`?"
  [users uid permissions]
  (every? (get-in users [uid :permissions] #{}) permissions))

(defn print-hash
  "Reads a password, a line on standard input, and prints what conf.edn keeps of it."
  []
  (let [salt   (byte-array 16)
        _      (.nextBytes (SecureRandom.) salt)
        base64 #(.encodeToString (Base64/getEncoder) %)]
    (prn {:iterations iterations
          :salt       (base64 salt)
          :hash       (base64 (pbkdf2 (read-line) salt iterations))})))
