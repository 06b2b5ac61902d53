(ns helping-hands.service.operations
  "What the service does, by the operationId of openapi.json."
  (:require [helping-hands.shared.calls :as calls]
            [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.table :as table]))

(def ^:private offers
  {:name    "service.offers"
   :columns {"provider" "uuid", "type" "text", "area" "text", "cost" "numeric", "rating" "numeric"}})

(def ^:private rated-offers
  "Offers as they are shown: with their provider's rating as it is now."
  (assoc offers :name "service.rated_offers"))

(def ^:private none (refuse 404 "there is no service of this id"))

(defn- create [{:keys [sql] :as system} {:keys [body caller]}]
  (if-let [{:strs [rating]} (calls/lookup system caller "provider" (body "provider"))]
    (let [made (table/insert sql offers (assoc body "rating" rating))]
      (answer 201 made {"Location" (str "/services/" (:id made))}))
    (refuse 409 "there is no provider of this id")))

(defn- fetch [{:keys [sql]} {{:strs [id]} :params}]
  (if-let [found (table/fetch sql rated-offers id)]
    (answer 200 found)
    none))

(defn- change [{:keys [sql] :as system} {{:strs [id]} :params, :keys [body] :as request}]
  (table/change sql offers id body)
  (fetch system request))

(defn- delete [{:keys [sql]} {{:strs [id]} :params}]
  (if (table/delete sql offers id)
    {:status 204}
    none))

(defn- search [{:keys [sql]} {{:strs [type area provider max_cost min_rating]} :params}]
  (answer 200 {:services (table/search sql rated-offers [["type = ?" type]
                                                         ["area = ?" area]
                                                         ["provider = ?::uuid" provider]
                                                         ["cost <= ?" max_cost]
                                                         ["rating >= ?" min_rating]]
                                       "cost, id")}))

(def all {"create" #'create, "read" #'fetch, "update" #'change, "delete" #'delete, "search" #'search})
