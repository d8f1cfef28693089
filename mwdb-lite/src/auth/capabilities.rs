//! The rights that groups give to their members. See MWDB API §U1.

macro_rules! capabilities {
    ($($name:ident = $text:literal, $meaning:literal;)*) => {
        /// A right the server checks. Groups may hold other names too: they are kept, and mean nothing here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Capability { $(#[doc = $meaning] $name,)* }

        impl Capability {
            /// All of them, in the order in which the first administrator gets them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in groups and messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

capabilities! {
    ManageUsers = "manage_users", "Administer users, groups and attribute definitions";
    ShareQueriedObjects = "share_queried_objects", "Whoever asks for an object by its hash gets it, with their groups";
    AccessAllObjects = "access_all_objects", "See every object";
    SharingWithAll = "sharing_with_all", "Share with any group";
    AccessUploaderInfo = "access_uploader_info", "See who uploaded";
    AddingTags = "adding_tags", "Add tags";
    RemovingTags = "removing_tags", "Remove tags";
    AddingComments = "adding_comments", "Add comments";
    RemovingComments = "removing_comments", "Remove comments";
    AddingParents = "adding_parents", "Link objects";
    RemovingParents = "removing_parents", "Unlink objects";
    ReadingAllAttributes = "reading_all_attributes", "Read every attribute";
    AddingAllAttributes = "adding_all_attributes", "Set every attribute";
    RemovingAttributes = "removing_attributes", "Remove attributes";
    AddingConfigs = "adding_configs", "Upload configs";
    AddingBlobs = "adding_blobs", "Upload blobs";
    AddingFiles = "adding_files", "Upload files";
    UnlimitedRequests = "unlimited_requests", "No rate limits";
    RemovingObjects = "removing_objects", "Delete objects";
    ManageProfile = "manage_profile", "Own API keys and password";
    Personalize = "personalize", "Favourites and saved searches";
    KartonAssign = "karton_assign", "Assign analyses to objects";
    KartonReanalyze = "karton_reanalyze", "Send objects to Karton again";
    KartonUnassign = "karton_unassign", "Take analyses from objects";
    Modify3rdPartySharing = "modify_3rd_party_sharing", "Allow sharing with third parties";
    AccessPrometheusMetrics = "access_prometheus_metrics", "Read metrics";
}
