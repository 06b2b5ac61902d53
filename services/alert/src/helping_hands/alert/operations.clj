(ns helping-hands.alert.operations
  "What the service does, by the operationId of openapi.json."
  (:require [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.table :as table]))

(defn- search [{:keys [sql]} {{:strs [to]} :params}]
  (let [found (table/query sql (str "SELECT id::text, recipient AS to, subject, to_char(sent AT TIME ZONE 'UTC', "
                                    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS sent FROM alert.sent "
                                    "WHERE ?::text IS NULL OR recipient = ? ORDER BY alert.sent.sent DESC LIMIT 100")
                           to to)]
    (answer 200 {:alerts found})))

(defn- shown
  "A message that is kept apart; of one that is no e-mail, as much as there is."
  [{:keys [message] :as kept}]
  (into (select-keys kept [:id :attempts :why])
        (filter (comp string? val))
        (when (map? message) (select-keys message ["to" "subject"]))))

(defn- failed [{:keys [sql]} _]
  (answer 200 {:alerts (map shown (queue/failed sql "alert"))}))

(def ^:private nothing (refuse 404 "nothing of this id is kept apart"))

(defn- retry [{:keys [sql]} {{:strs [id]} :params}]
  (if (queue/retry sql "alert" id)
    (answer 202 {:id id})
    nothing))

(defn- discard [{:keys [sql]} {{:strs [id]} :params}]
  (if (queue/discard sql "alert" id)
    {:status 204}
    nothing))

(def all {"search" #'search, "failed" #'failed, "retry" #'retry, "discard" #'discard})
