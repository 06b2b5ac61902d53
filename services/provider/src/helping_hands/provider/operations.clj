(ns helping-hands.provider.operations
  "What the service does, by the operationId of openapi.json."
  (:require [clojure.java.jdbc :as jdbc]
            [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.queue :as queue]
            [helping-hands.shared.table :as table]))

(def ^:private profiles {:name "provider.profiles", :columns {"name" "text", "phone" "text", "since" "date"}})

(def ^:private none (refuse 404 "there is no provider of this id"))

(defn- rated
  "A profile with the mean of its ratings, one digit behind the point, and their number."
  [sql {:keys [id] :as profile}]
  (merge profile (table/one sql (str "SELECT round(avg(rating), 1) AS rating, count(*) AS ratings FROM provider.ratings "
                                     "WHERE provider = ?::uuid") id)))

(defn- create [{:keys [sql]} {:keys [body]}]
  (jdbc/with-db-transaction [tx sql]
    (let [made (table/insert tx profiles body)]
      (answer 201 (rated tx made) {"Location" (str "/providers/" (:id made))}))))

(defn- fetch [{:keys [sql]} {{:strs [id]} :params}]
  (if-let [found (table/fetch sql profiles id)]
    (answer 200 (rated sql found))
    none))

(defn- change [{:keys [sql]} {{:strs [id]} :params, :keys [body]}]
  (jdbc/with-db-transaction [tx sql]
    (if-let [changed (table/change tx profiles id body)]
      (answer 200 (rated tx changed))
      none)))

(defn- delete [{:keys [sql]} {{:strs [id]} :params}]
  (if (table/delete sql profiles id)
    {:status 204}
    none))

(defn- news
  "What the others hear of a profile that was rated."
  [{:keys [id rating]}]
  {:provider id, :rating rating})

(defn- rate
  "Holds the profile: means are told in the order in which they come about."
  [{:keys [sql]} {{:strs [id]} :params, {:strs [rating comment]} :body}]
  (jdbc/with-db-transaction [tx sql]
    (if-let [held (table/hold tx profiles id)]
      (do (jdbc/execute! tx ["INSERT INTO provider.ratings (provider, rating, comment) VALUES (?::uuid, ?, ?)"
                             id rating comment])
          (let [profile (rated tx held)]
            (queue/publish tx "ratings" id (news profile))
            (answer 201 profile)))
      none)))

(def all {"create" #'create, "read" #'fetch, "update" #'change, "delete" #'delete, "rate" #'rate})
