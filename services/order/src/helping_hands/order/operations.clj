(ns helping-hands.order.operations
  "What the service does, by the operationId of openapi.json."
  (:require [clojure.java.jdbc :as jdbc]
            [clojure.string :as str]
            [helping-hands.shared.calls :as calls]
            [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.table :as table]))

(def ^:private bookings
  {:name    "orders.bookings"
   :columns {"consumer" "uuid", "provider" "uuid", "service" "uuid", "day" "date", "cost" "numeric", "state" "text"}})

(def transitions
  "The states that an order may go to from its own; it begins as created."
  {"created" #{"confirmed" "cancelled"}, "confirmed" #{"done" "cancelled"}, "done" #{}, "cancelled" #{}})

(def ^:private none (refuse 404 "there is no order of this id"))

(defn- mail
  "The e-mail about an order to its consumer, as alert takes it."
  [{:keys [id day state]} {:strs [name email]} {:strs [type area]}]
  {:to      email
   :subject (str "Your booking is " state)
   :text    (str "Dear " name ",\n\nyour booking of " type " in " area " on " day " is " state ".\n\nIts number is " id ".\n")})

(defn- parties
  "What the services say of those that an order names, {\"consumer\" …}; those that are not there have nil."
  [system caller order]
  (into {} (for [party ["consumer" "provider" "service"]]
             [party (calls/lookup system caller party (order party))])))

(defn- fault
  "Why these parties cannot go together, or nil."
  [{:strs [provider service] :as parties}]
  (if-let [absent (seq (for [[party found] parties :when (nil? found)] party))]
    (str "there is no " (str/join ", no " (sort absent)) " of this id")
    (when-not (= (provider "id") (service "provider"))
      "the service is another provider's")))

(defn- booked-before
  "The order that its consumer booked with this key, or nil."
  [sql consumer key]
  (when-let [{:keys [booking]} (and key (table/one sql (str "SELECT booking::text FROM orders.keys WHERE "
                                                            "consumer = ?::uuid AND key = ?")
                                                   consumer key))]
    (table/fetch sql bookings booking)))

(defn- same? [order body]
  (every? (fn [[field value]] (= value (order (keyword field)))) body))

(defn- claimed?
  "Is this key the order's now? Whoever comes second waits until the first has booked."
  [tx {:keys [id consumer]} key]
  (or (nil? key)
      (table/one tx (str "INSERT INTO orders.keys (consumer, key, booking) VALUES (?::uuid, ?, ?::uuid) "
                         "ON CONFLICT DO NOTHING RETURNING 1 AS one")
                 consumer key id)))

(defn- store
  "Books, with the e-mail, in one transaction: the order, or nil where this key has another by now."
  [sql body key {:strs [consumer service]}]
  (jdbc/with-db-transaction [tx sql]
    (let [order (table/insert tx bookings (assoc body "cost" (service "cost"), "state" "created"))]
      (if (claimed? tx order key)
        (do (queue/publish tx "alert" (:id order) (mail order consumer service))
            order)
        (do (jdbc/db-set-rollback-only! tx) nil)))))

(defn- repeated [order body]
  (if (same? order body)
    (answer 200 order)
    (refuse 409 "this key was used for another booking")))

(defn- book [{:keys [sql] :as system} {{key "Idempotency-Key"} :params, :keys [body caller] :as request}]
  (if-let [before (booked-before sql (body "consumer") key)]
    (repeated before body)
    (let [parties (parties system caller body)]
      (if-let [fault (fault parties)]
        (refuse 409 fault)
        (if-let [order (store sql body key parties)]
          (answer 201 order {"Location" (str "/orders/" (:id order))})
          (recur system request))))))                       ; to find the other, unless that is forgotten already

(defn- fetch [{:keys [sql]} {{:strs [id]} :params}]
  (if-let [found (table/fetch sql bookings id)]
    (answer 200 found)
    none))

(defn- search [{:keys [sql]} {{:strs [consumer provider state]} :params}]
  (answer 200 {:orders (table/search sql bookings [["consumer = ?::uuid" consumer] ["provider = ?::uuid" provider]
                                                   ["state = ?" state]]
                                     "created DESC, id")}))

(defn- advance [{:keys [sql] :as system} {{:strs [id]} :params, {:strs [state]} :body, :keys [caller]}]
  (if-let [found (table/fetch sql bookings id)]
    (let [{:strs [consumer service]} (parties system caller (update-keys found name))]
      (jdbc/with-db-transaction [tx sql]
        (let [{before :state} (table/hold tx bookings id)]
          (cond
            (nil? before)
            none                                            ; it was forgotten meanwhile

            (= before state)                                ; said again, since the answer was lost
            (answer 200 (table/fetch tx bookings id))

            (contains? (transitions before) state)
            (let [order (table/change tx bookings id {"state" state})]
              (when (and consumer service)                  ; who is gone gets no e-mail
                (queue/publish tx "alert" (:id order) (mail order consumer service)))
              (answer 200 order))

            :else
            (refuse 409 (str "an order that is " before " cannot be " state))))))
    none))

(def ^:private ended "The states that nothing follows: such an order may be forgotten."
  (set (keep (fn [[state next]] (when (empty? next) state)) transitions)))

(defn- forget [{:keys [sql]} {{:strs [id]} :params}]
  (jdbc/with-db-transaction [tx sql]
    (let [{:keys [state]} (table/hold tx bookings id)]
      (cond
        (nil? state)   none
        (ended state)  (do (jdbc/execute! tx ["DELETE FROM orders.keys WHERE booking = ?::uuid" id])
                           (table/delete tx bookings id)
                           {:status 204})
        :else          (refuse 409 (str "an order that is " state " is not forgotten: cancel it first"))))))

(def all {"book" #'book, "read" #'fetch, "search" #'search, "advance" #'advance, "forget" #'forget})
