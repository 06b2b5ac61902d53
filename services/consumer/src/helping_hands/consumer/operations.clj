(ns helping-hands.consumer.operations
  "What the service does, by the operationId of openapi.json."
  (:require [clojure.string :as str]
            [helping-hands.shared.http :refer [answer refuse]]
            [helping-hands.shared.table :as table]))

(def ^:private profiles
  {:name "consumer.profiles", :columns {"name" "text", "email" "text", "phone" "text", "address" "text"}})

(def ^:private none (refuse 404 "there is no consumer of this id"))

(defn- create [{:keys [sql]} {:keys [body]}]
  (let [made (table/insert sql profiles body)]
    (answer 201 made {"Location" (str "/consumers/" (:id made))})))

(defn- selected
  "The fields of a profile that are asked for, NAME,NAME; all where nothing is."
  [profile fields]
  (cond-> profile fields (select-keys (map keyword (str/split fields #",")))))

(defn- fetch [{:keys [sql]} {{:strs [id fields]} :params}]
  (if-let [found (table/fetch sql profiles id)]
    (answer 200 (selected found fields))
    none))

(defn- change [{:keys [sql]} {{:strs [id]} :params, :keys [body]}]
  (if-let [changed (table/change sql profiles id body)]
    (answer 200 changed)
    none))

(defn- delete [{:keys [sql]} {{:strs [id]} :params}]
  (if (table/delete sql profiles id)
    {:status 204}
    none))

(def all {"create" #'create, "read" #'fetch, "update" #'change, "delete" #'delete})
