;; What Leiningen makes of a project and from what: a line each, a kind and a path. `lein update-in` calls `answer` with
;; the project and the file for these lines; the build goes on in the same JVM, and nothing of the project is changed.
(ns slipway.leiningen-project
  (:require [clojure.java.io :as io]
            [clojure.set :as set]
            [leiningen.core.project :as project]
            [leiningen.jar :as jar]
            [leiningen.update-in]))

(def ^:private recipe "What notes how the project is built (slipway.leiningen-recipe)."
  (str (io/file (.getParent (io/file *file*)) "leiningen_recipe.clj")))

(defn- record
  "Have it noted beside the answer how the project is built; not by a Leiningen that works in another way."
  [path]
  (try
    (load-file recipe)
    ((resolve 'slipway.leiningen-recipe/record) (str path ".recipe"))
    (catch Throwable _)))

(defn- chosen
  "The project's profiles without the default ones, as tasks for jars have it (leiningen.uberjar/uberjar)."
  [project]
  (let [default (set (project/expand-profile project :default))
        provided (set (project/pom-scope-profiles project :provided))
        included (mapcat #(project/expand-profile project %) (:included-profiles (meta project)))]
    (remove (set/difference default provided) included)))

(defn- as-uberjar [project]
  (project/merge-profiles project (into [:uberjar] (chosen project))))

(defn- as-jar
  "What `uberjar` has packed, of the project as it sees it (leiningen.jar/jar)."
  [project]
  (project/merge-profiles (project/unmerge-profiles project (project/non-leaky-profiles project)) (chosen project)))

(defn- below
  "A path of the project without . and .., but with its links: what one in the folder leads to counts as in the folder.
  Leiningen's root has no links above it."
  [root path]
  (let [file (io/file (str path))]
    (.. (if (.isAbsolute file) file (io/file root (str path))) getAbsoluteFile toPath normalize toFile)))

(defn- parent-files
  "The files of :parent-project, which the plugin lein-parent reads, and of its own."
  [root project]
  (when-let [path (get-in project [:parent-project :path])]
    (let [file (below root path)]
      (cons file (when (.isFile file) (parent-files (.getParentFile file) (project/read-raw (str file))))))))

(defn- cleaned
  "What `lein clean` removes (leiningen.clean/clean): :target-path without the folders of single profiles, and the like."
  [{:keys [root clean-targets] :as project}]
  (let [raw (:target-path (:without-profiles (meta project)))
        above (second (re-find #"(.*?)/[^/]*%" (str raw)))
        targets (for [target clean-targets]
                  (cond (vector? target) (get-in project target) (keyword? target) (target project) :else target))]
    (map #(below root %) (remove nil? (flatten [above (:target-path project) (:compile-path project) targets])))))

(defn- lines [project]
  (let [uberjar (as-uberjar project)
        {:keys [root] :as built} (as-jar uberjar)
        specs (keep :path (filter map? (:filespecs built)))]
    (concat
     [["jar" (below root (jar/get-jar-filename uberjar :standalone))]]
     (for [path (mapcat #(get built %) [:source-paths :java-source-paths :resource-paths])] ["input" (below root path)])
     (for [path specs] ["input" (below root path)])
     (for [file (parent-files root project)] ["input" file])
     (for [file (concat (cleaned project) (cleaned uberjar))] ["generated" file]))))

(defn- answer [project path]
  (try
    (when-not (.exists (io/file path))
      (record path)
      (spit path (apply str (for [[kind file] (lines project)] (str kind " " (pr-str (str file)) "\n")))))
    (catch Throwable _)) ; the build says what is wrong with the project
  project)

(intern 'leiningen.update-in 'slipway-answer answer)
'leiningen.update-in/slipway-answer
