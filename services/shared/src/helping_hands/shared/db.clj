(ns helping-hands.shared.db
  "PostgreSQL: a pool that waits for the database, and migrations that run once however many replicas start.

  A database is {:datasource, …}, which clojure.java.jdbc takes. That it is away is never fatal: `ready?` says so, and
  what asks it meanwhile is answered with 503."
  (:require [clojure.java.io :as io]
            [clojure.java.jdbc :as jdbc]
            [clojure.string :as str]
            [helping-hands.shared.http :as http]
            [helping-hands.shared.log :as log])
  (:import (com.zaxxer.hikari HikariConfig HikariDataSource)
           (java.io Closeable)
           (java.math BigInteger)
           (java.security MessageDigest)
           (java.sql Connection SQLException)
           (org.postgresql.ds PGSimpleDataSource)))

(def ^:private statement-seconds "Longer than anything here takes on a database that is well." 3)

(def ^:private pool-size "Connections of one replica: thirty replicas fit what PostgreSQL allows." 6)

(def ^:private migration-seconds
  "For one statement of a migration, and somewhat less for another replica's to end; then it is tried again."
  120)

(defn- source ^PGSimpleDataSource [{:keys [host port name user password]}]
  (doto (PGSimpleDataSource.)
    (.setServerNames (into-array String [host]))
    (.setPortNumbers (int-array [port]))
    (.setDatabaseName name)
    (.setUser user)
    (.setPassword password)
    (.setConnectTimeout 2)
    (.setLoginTimeout 2)
    (.setTcpKeepAlive true)))

(def ^:private gone-soon
  "PostgreSQL lets go of what a client held that vanished without a word, after half a minute instead of two hours."
  "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3")

(defn- pool [settings]
  (HikariDataSource.
   (doto (HikariConfig.)
     (.setDataSource (doto (source settings)
                       (.setSocketTimeout (+ 2 statement-seconds))
                       (.setOptions (str "-c statement_timeout=" statement-seconds "s "
                                         "-c idle_in_transaction_session_timeout=10s " gone-soon))))
     (.setTransactionIsolation "TRANSACTION_READ_COMMITTED") ; else Hikari asks its first connection only, which may break
     (.setPoolName "database")
     (.setMaximumPoolSize pool-size)
     (.setMinimumIdle 1)
     (.setIdleTimeout 60000)
     (.setConnectionTimeout 2000)
     (.setValidationTimeout 1000)
     (.setInitializationFailTimeout -1))))

(defn- sha256 [^String text]
  (format "%064x" (BigInteger. 1 (.digest (MessageDigest/getInstance "SHA-256") (.getBytes text "UTF-8")))))

(defn- apply-one
  "Applies a migration unless it has been. Throws when what has been applied under its name was another."
  [db schema name]
  (let [text    (slurp (io/resource (str "migrations/" schema "/" name ".sql")))
        digest  (sha256 text)
        applied (:sha256 (first (jdbc/query db [(str "SELECT sha256 FROM " schema ".migrations WHERE name = ?") name])))]
    (cond
      (nil? applied)
      (jdbc/with-db-transaction [tx db]
        (with-open [statement (.createStatement ^Connection (jdbc/db-connection tx))]
          (.execute statement text))                        ; all of the file: a batch takes one command each
        (jdbc/execute! tx [(str "INSERT INTO " schema ".migrations (name, sha256) VALUES (?, ?)") name digest])
        (log/info "migrated" {:schema schema, :migration name}))

      (not= applied digest)
      (throw (ex-info (str "migration " schema "/" name " has changed since it was applied: add another instead") {})))))

(defn migrate
  "Applies the files migrations/SCHEMA/NAME.sql in the order of `names`, each once: whoever comes second waits. Those that
  are in the database and not in `names` are a newer release's, which this one can live with."
  [settings schema names]
  (jdbc/with-db-connection [db {:datasource (doto (source settings)
                                              (.setSocketTimeout migration-seconds)
                                              (.setOptions (str "-c lock_timeout=" (- migration-seconds 10) "s " gone-soon)))}]
    (jdbc/query db ["SELECT pg_advisory_lock(hashtext(?))" (str schema ".migrations")]) ; until the connection ends
    (jdbc/db-do-commands db [(str "CREATE SCHEMA IF NOT EXISTS " schema)
                             (str "CREATE TABLE IF NOT EXISTS " schema ".migrations (name text PRIMARY KEY, "
                                  "sha256 text NOT NULL, applied timestamptz NOT NULL DEFAULT now())")])
    (run! #(apply-one db schema %) names)))

(defn- sql-state
  "The SQLSTATE of the database's own error behind this one, or nil; clojure.java.jdbc hides it when the rollback fails too."
  [error]
  (->> (iterate #(or (:handling (ex-data %)) (ex-cause %)) error)
       (take-while some?)
       (some #(when (instance? SQLException %) (or (.getSQLState ^SQLException %) "08000")))))

(defn away?
  "Does this error say that the database does not answer, as opposed to that it was asked the wrong thing? By PostgreSQL's
  error classes: connections (08), limits (53), a lock that is not to be had (55), an operator's intervention and
  timeouts (57)."
  [error]
  (boolean (some-> (sql-state error) (subs 0 2) #{"08" "53" "55" "57"})))

(defn- keep-trying
  "Migrates, at the first moment when the database can be had."
  [settings migrations migrated]
  (loop [said nil]
    (let [why (try
                (doseq [[schema names] migrations] (migrate settings schema names))
                (reset! migrated true)
                nil
                (catch Exception error
                  (if (away? error)
                    (str "waiting for the database: " (first (str/split-lines (str (ex-message error)))))
                    (str "the database cannot be migrated: " (ex-message error)))))]
      (when why
        (when-not (= said why) (log/log "warn" why {}))
        (Thread/sleep 500)
        (recur why)))))

(defn open
  "The database behind `settings`, {:host, :port, :name, :user, :password}. At once: it is migrated in the background, as
  soon as it can be had. `migrations` is [[schema [name …]] …]."
  [settings migrations]
  (let [migrated (atom false)
        opening  (delay (pool settings))]
    (doto (Thread. #(do @opening (keep-trying settings migrations migrated)) "migrations")
      (.setDaemon true)
      (.start))
    {:migrated migrated
     :opening  opening}))

(defn spec
  "What clojure.java.jdbc takes."
  [{:keys [opening]}]
  {:datasource @opening})

(defn ready?
  "Is the database migrated, and does it answer within a second or two?"
  [{:keys [migrated opening]}]
  (and @migrated
       (try
         (with-open [connection (.getConnection ^HikariDataSource @opening)]
           (.isValid ^Connection connection 1))
         (catch SQLException _ false))))

(defn close [{:keys [opening]}]
  (when (realized? opening)
    (.close ^Closeable @opening)))

(defn operation
  "An operation, f of `system` and what the request says, that finds what clojure.java.jdbc takes under :sql, and answers
  503 while the database of `system` is away or not yet migrated."
  [act]
  (fn [{:keys [db] :as system} request]
    (if @(:migrated db)
      (try
        (act (assoc system :sql (spec db)) request)
        (catch Exception error
          (if (away? error)
            (do (log/log "warn" "the database does not answer" {:why (ex-message error)})
                (http/unavailable "the database"))
            (throw error))))
      (http/unavailable "the database"))))
