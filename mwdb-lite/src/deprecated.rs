//! What MWDB calls deprecated: counted in metrics, and refused when `enable_brownout` is on. See MWDB API §A3.4.

/// A deprecated way to use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Feature {
    ApiKeyV1,
    ApiKeyV2,
    FileUpload,
    FileDownload,
    Search,
    PageParameter,
    MetakeyApi,
    MetakeysUploadOption,
}

impl Feature {
    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ApiKeyV1 => "legacy_api_key_v1",
            Self::ApiKeyV2 => "legacy_api_key_v2",
            Self::FileUpload => "legacy_file_upload",
            Self::FileDownload => "legacy_file_download",
            Self::Search => "legacy_search",
            Self::PageParameter => "legacy_page_parameter",
            Self::MetakeyApi => "legacy_metakey_api",
            Self::MetakeysUploadOption => "legacy_metakeys_upload_option",
        }
    }
}
