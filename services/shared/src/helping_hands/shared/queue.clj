(ns helping-hands.shared.queue
  "A durable queue in the database: a message is published with the transaction that it belongs to, and is taken at least
  once, by one worker at a time, those of one group in the order in which they were published. What fails is tried again,
  later each time, and its group waits; what fails for good (see `final`), or for too long, is kept apart, and its group
  goes on."
  (:require [clojure.data.json :as json]
            [clojure.java.jdbc :as jdbc]
            [clojure.string :as str]
            [helping-hands.shared.db :as db]
            [helping-hands.shared.log :as log]
            [helping-hands.shared.schema :as schema]
            [helping-hands.shared.table :as table]))

(def migrations ["queue" ["001-messages" "002-groups"]])

(def ^:private lease
  "Seconds after which a message that was taken by a worker that died is taken again: more than an SMTP conversation takes."
  120)

(def attempts "How often a message is tried before it is kept apart: for a day, in all." 300)

(defn publish
  "Adds a message, a map, to `topic`, within the transaction `tx`. The order in a `group`, a text, is that of the commits
  where `tx` holds a lock that each of its publishers takes, such as that of a row which the messages are about."
  [tx topic group message]
  (jdbc/execute! tx ["INSERT INTO queue.messages (topic, message_group, body) VALUES (?, ?, ?)"
                     topic group (json/write-str message)]))

(defn- take-one
  "The message that has been due the longest, of those that are the first of their group."
  [sql topic]
  (table/one sql (str "UPDATE queue.messages SET attempts = attempts + 1, due = now() + make_interval(secs => ?) "
                      "WHERE id = (SELECT id FROM queue.messages AS next WHERE topic = ? AND failed IS NULL AND due <= now() "
                      "AND NOT EXISTS (SELECT FROM queue.messages AS earlier WHERE earlier.topic = next.topic AND "
                      "earlier.message_group = next.message_group AND earlier.sequence < next.sequence AND "
                      "earlier.failed IS NULL) "
                      "ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, body, attempts")
          lease topic))

(defn pause
  "Seconds before a message is tried again: twice as long each time, at most five minutes, never two at once."
  [tries]
  (* (min 300 (bit-shift-left 1 (min 9 tries))) (+ 0.5 (rand))))

(defn final
  "What a handler throws when `error` will be the same however often the message is tried."
  [error]
  (ex-info (str (ex-message error)) {::final true} error))

(defn- put-back [sql {:keys [id] tries :attempts} error]
  (let [why   (str (ex-message error))
        final (or (boolean (::final (ex-data error))) (<= attempts tries))]
    (log/log "warn" "a message could not be handled" {:id (str id), :attempts tries, :final final, :why why})
    (jdbc/execute! sql
                   [(str "UPDATE queue.messages SET why = ?, due = now() + make_interval(secs => ?), "
                         "failed = CASE WHEN ? THEN now() END WHERE id = ? AND attempts = ?")
                    why (pause tries) final id tries])))

(defn- forgotten?
  "Is a message gone by this? Not when its lease ended and another worker took it, whose turn it is to settle it."
  [tx {:keys [id attempts]}]
  (= [1] (jdbc/execute! tx ["DELETE FROM queue.messages WHERE id = ? AND attempts = ?" id attempts])))

(defn work-one
  "Takes one message of `topic`, if any is due, and has `handle` do it. It answers what settles it: f of a transaction, in
  which the message is forgotten, and of the message's id. True if there was one."
  [sql topic handle]
  (when-let [{:keys [id body] tries :attempts :as taken} (take-one sql topic)]
    (try
      (when (< attempts tries)
        (throw (final (ex-info "whoever took it never came to an end" {}))))
      (let [settle (handle (json/read-str body))]
        (jdbc/with-db-transaction [tx sql]
          (if (forgotten? tx taken)
            (settle tx id)
            (log/log "warn" "a message took longer than its lease" {:id (str id)}))))
      (catch Throwable error                                ; a class that is missing, too
        (if (db/away? error)
          (throw error)                                     ; its lease ends, and another takes it
          (put-back sql taken error))))
    true))

(defn checked
  "`handle` for messages that fit `schema`; what does not fit is no other message the next time."
  [schema handle]
  (fn [message]
    (when-let [faults (seq (schema/faults schema message "the message"))]
      (throw (final (ex-info (str/join "; " faults) {}))))
    (handle message)))

(defn worker
  "Works on `topic`, whose messages `x-takes` of the service's document describes, in the background until the function that
  it answers is called, which lets a message under way end."
  [{:keys [db takes]} topic handle]
  (let [running (atom true)
        handle  (checked (takes topic) handle)
        thread  (Thread. (fn []
                           (while @running
                             (when-not (try
                                         (and @(:migrated db) (work-one (db/spec db) topic handle))
                                         (catch Throwable error ; whatever it is, others are to be sent
                                           (log/log "warn" "the queue waits" {:why (str (ex-message error))})))
                               (Thread/sleep 300))))
                         (str topic " worker"))]
    (.start thread)
    (fn []
      (reset! running false)
      (.join thread 12000))))

(defn failed
  "Messages of `topic` that are kept apart, a hundred at most, those that have been for the longest first: {:id, :message,
  :attempts, :why}. One that is tried again and fails again comes behind the others."
  [sql topic]
  (for [row (table/query sql (str "SELECT id::text, body, attempts, why FROM queue.messages WHERE topic = ? AND failed "
                                  "IS NOT NULL ORDER BY failed LIMIT 100") topic)]
    (-> row (assoc :message (json/read-str (:body row))) (dissoc :body))))

(defn retry
  "Gives a message that was kept apart all its attempts again. True if there was one."
  [sql topic id]
  (some? (table/one sql (str "UPDATE queue.messages SET failed = NULL, attempts = 0, due = now() WHERE id = ?::uuid AND "
                             "topic = ? AND failed IS NOT NULL RETURNING 1 AS one") id topic)))

(defn discard
  "Forgets a message that was kept apart. True if there was one."
  [sql topic id]
  (some? (table/one sql "DELETE FROM queue.messages WHERE id = ?::uuid AND topic = ? AND failed IS NOT NULL RETURNING 1 AS one"
                    id topic)))
